import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";

/**
 * What a remote agent may cost. Times are milliseconds, sizes are bytes after decompression; every limit is a whole
 * number from 1. Beyond one of them a call ends with an {@link A2AError}.
 */
export interface Limits {
  /** DNS, TCP and TLS together, for a new connection. Default 5,000. */
  connectMs: number;
  /** From the request to the headers of the answer. Default 60,000. */
  headersMs: number;
  /** Longest wait for the next piece of a body. A reader that takes its time does not count. Default 60,000. */
  idleMs: number;
  /** A call altogether, from the first byte to the last, redirects and streams included. Default 600,000. */
  totalMs: number;
  /** The same for an agent card, and for a key set. Default 10,000. */
  cardMs: number;
  /** An agent card, and a key set. Default 256 KiB. */
  cardBytes: number;
  /** An answer that is no stream of events. Default 8 MiB. */
  bodyBytes: number;
  /** One event of a stream. Default 1 MiB. */
  eventBytes: number;
  /** A stream of events altogether. Default 32 MiB. */
  streamBytes: number;
  /** Events of one stream. Default 100,000. */
  maxEvents: number;
  /**
   * Nesting of objects and arrays in any JSON. Default 64. With `Number.MAX_SAFE_INTEGER` the data of event streams are
   * not looked at, for readers that do so themselves.
   */
  jsonDepth: number;
}

/** The limits that hold unless others are given. */
export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  connectMs: 5_000,
  headersMs: 60_000,
  idleMs: 60_000,
  totalMs: 600_000,
  cardMs: 10_000,
  cardBytes: 256 * 1024,
  bodyBytes: 8 * 1024 * 1024,
  eventBytes: 1024 * 1024,
  streamBytes: 32 * 1024 * 1024,
  maxEvents: 100_000,
  jsonDepth: 64,
});

const NAMES = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];

/** Longest delay of a timer of Node.js; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * `base` with what `given` says otherwise.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 */
export function resolveLimits(
  given: Partial<Limits> | undefined,
  where: string,
  base: Readonly<Limits> = DEFAULT_LIMITS,
): Readonly<Limits> {
  if (given === undefined) return base;
  checkOptions(given, NAMES, `${where}: limits`);
  const limits = { ...base };
  for (const name of NAMES) {
    const value = given[name];
    if (value === undefined) continue;
    const largest = name.endsWith("Ms") ? LONGEST_MS : Number.MAX_SAFE_INTEGER;
    if (!Number.isSafeInteger(value) || value < 1 || value > largest) {
      throw invalidOption(where, `limits.${name}`, `a whole number from 1 to ${largest}`, value);
    }
    limits[name] = value;
  }
  return limits;
}

/** The error for an answer beyond a limit. */
export function limitExceeded(limit: keyof Limits, what: string): A2AError {
  return new A2AError(`The peer sends too much: ${what}`, {
    code: "RESPONSE_TOO_LARGE",
    context: { limit },
    hint: `Raise limits.${limit} if that much is expected.`,
  });
}
