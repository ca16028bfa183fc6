import { LakeError } from "../errors.js";
import { describe } from "../options.js";

/**
 * A filter as the native side takes it. `JSON.stringify` alone would turn `NaN` into `null` and leave out `undefined`,
 * and a filter without its condition matches everything.
 *
 * @throws {@link LakeError} `INVALID_FILTER`
 */
export function toFilterJson(filter: unknown, where: string): string | undefined {
  if (filter === undefined) return undefined;
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    throw invalidFilter(where, "the filter", `expected an object, found ${describe(filter)}`);
  }
  const check = function (this: unknown, key: string, value: unknown): unknown {
    const problem = problemOf(value);
    if (problem !== undefined) throw invalidFilter(where, key === "" ? "the filter" : `'${key}'`, problem);
    return value;
  };
  try {
    return wellFormed(JSON.stringify(filter, check));
  } catch (error) {
    if (LakeError.isInstance(error)) throw error;
    throw invalidFilter(where, "the filter", (error as Error).message, error);
  }
}

/** Halves of surrogate pairs become U+FFFD, as they do in metadata and texts where these are compared. */
function wellFormed(json: string): string {
  if (!json.includes("\\ud")) return json;
  // Of escapes with four digits `JSON.stringify` writes those of control characters and of such halves.
  return json.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (found, half) => (half ? "\\ufffd" : found));
}

function problemOf(value: unknown): string | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : `${value} cannot be compared with anything`;
    case "undefined":
      return "undefined is no value; leave the field out, or use { $exists: false }";
    case "bigint":
    case "function":
    case "symbol":
      return `${describe(value)} cannot be stored, so nothing equals it`;
    default:
      return value instanceof RegExp || value instanceof Map || value instanceof Set
        ? `${describe(value)} is no JSON value`
        : undefined;
  }
}

function invalidFilter(where: string, at: string, reason: string, cause?: unknown): LakeError {
  return new LakeError(`${where}: invalid filter at ${at}: ${reason}`, {
    code: "INVALID_FILTER",
    context: { at, reason },
    cause,
  });
}
