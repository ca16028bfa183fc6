import { ConfigError } from "./errors.js";

/**
 * The candidate a misspelt `word` most likely meant, or `undefined` when none is close: an optimal string alignment
 * distance (insert, delete, replace, swap neighbours; case ignored) of at most a third of the longer word, or a common start.
 */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const given = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const known = candidate.toLowerCase();
    const allowed = Math.max(1, Math.floor(Math.max(given.length, known.length) / 3));
    // A cut-off or extended word ("dim" for "dimensions") is farther than any sensible distance allows.
    const shared = Math.min(given.length, known.length);
    const startsAlike = shared >= 3 && (known.startsWith(given) || given.startsWith(known));
    const distance = Math.abs(given.length - known.length) > allowed ? Infinity : editDistance(given, known);
    const rank = distance <= allowed ? distance : startsAlike ? allowed + 0.5 : Infinity;
    if (rank < bestDistance) {
      best = candidate;
      bestDistance = rank;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        value = Math.min(value, (before[j - 2] ?? 0) + 1);
      }
      row.push(value);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** `"; did you mean 'x'?"` when a candidate is close, otherwise `""`. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const meant = didYouMean(word, candidates);
  return meant === undefined ? "" : `; did you mean '${meant}'?`;
}

/**
 * Refuses what is not a plain options object or holds names that do not exist.
 *
 * @param given - what the caller passed; `undefined` counts as no options
 * @param allowed - every option name
 * @param where - the call as the user wrote it, for the message
 * @throws {@link ConfigError} `INVALID_OPTION` (not an object) or `UNKNOWN_OPTION`
 */
export function checkOptions(given: unknown, allowed: readonly string[], where: string): void {
  if (given === undefined) return;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalidOption(where, "options", "an object", given, listing(allowed));
  }
  for (const name of Object.keys(given)) {
    if (allowed.includes(name)) continue;
    throw new ConfigError(`${where}: unknown option '${name}'${suggestion(name, allowed)}`, {
      code: "UNKNOWN_OPTION",
      context: { option: name, allowed: [...allowed] },
      hint: listing(allowed),
    });
  }
}

/** What may be given, for a hint. */
function listing(allowed: readonly string[]): string {
  return allowed.length === 1 ? `The only option is ${allowed[0]}.` : `Options are ${allowed.join(", ")}.`;
}

/** The error for an option of the wrong type or range: `INVALID_OPTION`. */
export function invalidOption(
  where: string,
  option: string,
  expected: string,
  given: unknown,
  hint?: string,
): ConfigError {
  return new ConfigError(`${where}: '${option}' must be ${expected}, not ${describe(given)}`, {
    code: "INVALID_OPTION",
    context: { option, expected },
    hint,
  });
}

/**
 * An option that is one of several words; `undefined` if it was left out.
 *
 * @throws {@link ConfigError} `INVALID_OPTION`, with the word that was probably meant
 */
export function oneOf<T extends string>(
  given: T | undefined,
  allowed: readonly T[],
  option: string,
  where: string,
): T | undefined {
  if (given === undefined || allowed.includes(given)) return given;
  const expected = `one of ${allowed.map((word) => `'${word}'`).join(", ")}`;
  const error = invalidOption(where, option, expected, given);
  if (typeof given !== "string") throw error;
  throw new ConfigError(error.message + suggestion(given, allowed), {
    code: error.code,
    context: { ...error.context, given, allowed: [...allowed] },
  });
}

/** @throws {@link ConfigError} `INVALID_OPTION` */
export function checkSignal(signal: AbortSignal | undefined, where: string): void {
  // By shape: jsdom, polyfills and other realms bring their own class.
  if (signal === undefined || typeof signal?.addEventListener === "function") return;
  throw invalidOption(where, "signal", "an AbortSignal", signal);
}

/** A value as an error message shows it: short, and never the contents of an object. */
export function describe(value: unknown): string {
  if (typeof value === "string") return value.length > 40 ? "a longer string" : JSON.stringify(value);
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) {
    return String(value);
  }
  if (Array.isArray(value)) return "an array";
  return typeof value === "object"
    ? `an instance of ${value.constructor?.name ?? "Object"}`
    : `a ${typeof value}`;
}
