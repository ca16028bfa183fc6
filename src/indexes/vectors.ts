import { types } from "node:util";
import { IndexError } from "../errors.js";
import { describe } from "../options.js";

/** A query as users may write it. */
export type QueryVector = Float32Array | readonly number[];

/**
 * A query as the native side takes it: a `Float32Array` of the right length in memory no other thread can write to.
 *
 * @throws {@link IndexError} `INVALID_ARGUMENT`, `DIMENSION_MISMATCH`
 */
export function toQuery(query: QueryVector, dimensions: number, where: string): Float32Array {
  const vector = types.isFloat32Array(query) ? unshared(query) : fromNumbers(query, where);
  if (vector.length !== dimensions) {
    refuseDetached(vector, "query", where);
    throw dimensionMismatch(where, "query", dimensions, vector.length);
  }
  return vector;
}

/**
 * Checks a row-major matrix and returns its number of rows.
 *
 * @throws {@link IndexError} `INVALID_ARGUMENT`, `DIMENSION_MISMATCH`
 */
export function countRows(matrix: Float32Array, dimensions: number, name: string, where: string): number {
  if (!types.isFloat32Array(matrix)) {
    throw new IndexError(`${where}: ${name} must be a Float32Array, not ${describe(matrix)}`, {
      code: "INVALID_ARGUMENT",
      context: { argument: name, expected: "Float32Array" },
      hint: Array.isArray(matrix)
        ? `Write all rows one after the other into one Float32Array (n x ${dimensions} numbers): Float32Array.from(rows.flatMap((row) => [...row])).`
        : `Pass one row-major Float32Array of n x ${dimensions} numbers.`,
    });
  }
  if (matrix.length === 0) refuseDetached(matrix, name, where);
  if (matrix.length % dimensions !== 0) {
    throw dimensionMismatch(where, name, dimensions, matrix.length, true);
  }
  return matrix.length / dimensions;
}

/** `DIMENSION_MISMATCH`, naming both sides. */
function dimensionMismatch(
  where: string,
  name: string,
  expected: number,
  got: number,
  rows = false,
): IndexError {
  const wanted = rows ? `a multiple of ${expected} numbers (its dimensions)` : `${expected} numbers`;
  return new IndexError(`${where}: ${name} must hold ${wanted}, got ${got}`, {
    code: "DIMENSION_MISMATCH",
    context: { argument: name, expected, got },
    hint: "Vectors of one index all come from one embedding model.",
  });
}

function fromNumbers(numbers: readonly number[], where: string): Float32Array {
  if (!Array.isArray(numbers)) {
    throw new IndexError(
      `${where}: query must be a Float32Array or an array of numbers, not ${describe(numbers)}`,
      {
        code: "INVALID_ARGUMENT",
        context: { argument: "query", expected: "Float32Array | number[]" },
        hint: ArrayBuffer.isView(numbers) ? "Convert it with Float32Array.from(query)." : undefined,
      },
    );
  }
  const vector = new Float32Array(numbers.length);
  for (let i = 0; i < vector.length; i++) {
    const number: unknown = numbers[i];
    if (typeof number !== "number") {
      throw new IndexError(`${where}: query[${i}] must be a number, not ${describe(number)}`, {
        code: "INVALID_ARGUMENT",
        context: { argument: "query", position: i },
      });
    }
    vector[i] = number;
  }
  return vector;
}

/** A copy if another thread could write to it (a race would be undefined behaviour in Rust), the array itself otherwise. */
export function unshared(array: Float32Array): Float32Array {
  return types.isSharedArrayBuffer(array.buffer) ? Float32Array.from(array) : array;
}

/** @throws {@link IndexError} `INVALID_ARGUMENT` if the memory of an array was transferred away */
export function refuseDetached(array: Float32Array | Float64Array, name: string, where: string): void {
  try {
    // Making a view is what a detached buffer refuses; `detached` itself came with Node 21.
    new Uint8Array(array.buffer);
  } catch {
    throw new IndexError(`${where}: the memory of ${name} was transferred to another thread`, {
      code: "INVALID_ARGUMENT",
      context: { argument: name },
      hint: "An array is empty after postMessage or structuredClone with a transfer list; copy it before.",
    });
  }
}
