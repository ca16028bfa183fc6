import { types } from "node:util";
import { IndexError } from "../errors.js";
import { describe } from "../options.js";

/** Ids of rows, each a safe integer (between -(2^53 - 1) and 2^53 - 1). */
export type IdList =
  | readonly number[]
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | Int32Array
  | Uint32Array;

/** Ids a search may return. */
export type IdFilter = IdList | ReadonlySet<number>;

/**
 * Checks that something lists ids, without looking at each, and returns how many.
 *
 * @throws {@link IndexError} `INVALID_ARGUMENT`
 */
export function countIds(ids: IdFilter, name: string, where: string): number {
  if (Array.isArray(ids) || isIdArray(ids)) return ids.length;
  if (types.isSet(ids)) return ids.size;
  throw new IndexError(`${where}: ${name} must be an array of whole numbers, not ${describe(ids)}`, {
    code: "INVALID_ARGUMENT",
    context: { argument: name, expected: "number[] | Float64Array | BigUint64Array | Set<number>" },
    hint: typeof ids === "number" ? `Write [${ids}].` : undefined,
  });
}

function isIdArray(ids: unknown): ids is Exclude<IdList, readonly number[]> {
  return (
    types.isFloat64Array(ids) ||
    types.isBigUint64Array(ids) ||
    types.isBigInt64Array(ids) ||
    types.isInt32Array(ids) ||
    types.isUint32Array(ids)
  );
}

/** Whether a value is an id as it stands. */
export function isId(id: unknown): id is number {
  return Number.isSafeInteger(id);
}

/**
 * One id, checked.
 *
 * @throws {@link IndexError} `INVALID_ID`
 */
export function toId(id: number | bigint, name: string, where: string): number {
  const number = typeof id === "bigint" ? Number(id) : id;
  if (isId(number)) return number;
  const given = typeof id === "bigint" ? `${id}n` : describe(id);
  throw new IndexError(`${where}: ${name} must be a safe integer, not ${given}`, {
    code: "INVALID_ID",
    context: { argument: name, id: typeof id === "bigint" ? String(id) : id },
    hint: "Ids lie between -(2^53 - 1) and 2^53 - 1; keep other keys in a collection, whose ids are strings.",
  });
}

/** @throws {@link IndexError} `ID_COUNT_MISMATCH`, `INVALID_ARGUMENT` */
export function checkIdCount(ids: IdList, rows: number, where: string): void {
  const count = countIds(ids, "ids", where);
  if (count === rows) return;
  throw new IndexError(`${where}: ${count} ids for ${rows} vectors`, {
    code: "ID_COUNT_MISMATCH",
    context: { ids: count, vectors: rows },
  });
}
