import { LakeError } from "../errors.js";
import { describe } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";

/** Values, and texts of 64 characters, that are converted at once: a tenth of a millisecond. */
const PIECE = 1024;

/**
 * A filter as the native side takes it; a promise of it if it is large, such as a `$in` of thousands of values, which is
 * converted in turns that do not hold up the event loop. `JSON.stringify` alone would turn `NaN` into `null` and leave out
 * `undefined`, and a filter without its condition matches everything.
 *
 * @throws {@link LakeError} `INVALID_FILTER`; of a large filter, by rejection
 */
export function toFilterJson(filter: unknown, where: string): string | undefined | Promise<string> {
  if (filter === undefined) return undefined;
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    throw invalidFilter(where, "the filter", `expected an object, found ${describe(filter)}`);
  }
  if (weightOf(filter, PIECE) > PIECE) return new LargeFilter(where).toJson(filter);
  return stringify(filter, where);
}

/**
 * Writes a value at once.
 *
 * @param place - name of the value, or number of the first of a list, for messages
 * @throws {@link LakeError} `INVALID_FILTER`
 */
function stringify(value: unknown, where: string, place: string | number = ""): string {
  const check = function (this: unknown, key: string, part: unknown): unknown {
    const problem = problemOf(part);
    if (problem === undefined) return part;
    let name = key;
    if (typeof place === "number" && this === value) name = String(place + Number(key));
    else if (key === "" && typeof place === "string") name = place;
    throw invalidFilter(where, name === "" ? "the filter" : `'${name}'`, problem);
  };
  try {
    return wellFormed(JSON.stringify(value, check));
  } catch (error) {
    throw notUnderstood(where, error);
  }
}

/** Writes a filter piece by piece. */
class LargeFilter {
  readonly #where: string;
  readonly #written: string[] = [];
  /** Lists and objects around the value that is being written. */
  readonly #around: object[] = [];

  constructor(where: string) {
    this.#where = where;
  }

  async toJson(filter: object): Promise<string> {
    try {
      await this.#write(filter, "");
    } catch (error) {
      throw notUnderstood(this.#where, error);
    }
    // Putting megabytes together takes a millisecond, and the native side takes longer to copy them: a turn for each.
    await nextTurn();
    const json = this.#written.join("");
    await nextTurn();
    return json;
  }

  async #write(given: unknown, key: string): Promise<void> {
    if (weightOf(given, PIECE) <= PIECE) {
      if (isTurnOver()) await nextTurn();
      this.#written.push(stringify(given, this.#where, key));
      return;
    }
    const value = plain(given, key);
    if (typeof value !== "object" || value === null) {
      this.#written.push(stringify(value, this.#where, key));
      return;
    }
    if (this.#around.includes(value)) {
      throw invalidFilter(this.#where, `'${key}'`, "it holds itself, so it is no JSON value");
    }
    this.#around.push(value);
    await (Array.isArray(value) ? this.#writeList(value) : this.#writeObject(value));
    this.#around.pop();
  }

  async #writeObject(value: object): Promise<void> {
    let separator = "{";
    for (const [key, part] of Object.entries(value)) {
      this.#written.push(separator, wellFormed(JSON.stringify(key)), ":");
      await this.#write(part, key);
      separator = ",";
    }
    this.#written.push(separator === "{" ? "{}" : "}");
  }

  async #writeList(list: unknown[]): Promise<void> {
    let separator = "[";
    for (let start = 0; start < list.length; ) {
      if (isTurnOver()) await nextTurn();
      let end = start;
      for (let left = PIECE; end < list.length && left > 0; end++) {
        left -= weightOf(list[end], left);
        // A large one is written by itself.
        if (left < 0) break;
      }
      this.#written.push(separator);
      if (end === start) await this.#write(list[end++], String(start));
      else {
        const piece = list.slice(start, end);
        this.#written.push(stringify(piece, this.#where, start).slice(1, -1));
      }
      separator = ",";
      start = end;
    }
    this.#written.push(separator === "[" ? "[]" : "]");
  }
}

/** What `JSON.stringify` would write for a value. */
function plain(value: unknown, key: string): unknown {
  const hasForm = typeof value === "object" && value !== null && "toJSON" in value;
  return hasForm && typeof value.toJSON === "function" ? value.toJSON(key) : value;
}

/** How much there is to convert, as far as `most`: above it, more than that. */
function weightOf(value: unknown, most: number): number {
  if (typeof value === "string") return 1 + (value.length >> 6);
  if (typeof value !== "object" || value === null) return 1;
  let weight = 1;
  if (Array.isArray(value)) {
    if (value.length > most) return most + 1;
    for (let i = 0; i < value.length && weight <= most; i++) weight += weightOf(value[i], most - weight);
    return weight;
  }
  for (const key in value) {
    if (weight > most) break;
    weight += weightOf((value as Record<string, unknown>)[key], most - weight);
  }
  return weight;
}

/** The error for what `JSON.stringify`, or a `toJSON`, has thrown. */
function notUnderstood(where: string, error: unknown): LakeError {
  if (LakeError.isInstance(error)) return error;
  return invalidFilter(where, "the filter", (error as Error).message, error);
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
