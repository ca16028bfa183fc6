import { type ErrorCategory, RuLakeError } from "./errors.js";
import { checkOptions, checkSignal, invalidOption } from "./options.js";

/** Longer timers fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** How {@link withRetry} goes about it. */
export interface RetryPolicy {
  /** Waits before each repetition after a `transient` error, in milliseconds. Default `[1000, 2000, 4000]`. */
  transientDelaysMs?: readonly number[] | undefined;
  /** The same for `infrastructure` errors. Default `[1000]`: one more try. */
  infrastructureDelaysMs?: readonly number[] | undefined;
  /** Share of a wait that is random, 0 to 1, so that many callers do not return at the same moment. Default 0.5. */
  jitter?: number | undefined;
  /** Ends the waiting; the promise rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Asked about every error: one it refuses is thrown at once, whatever its category. Default: none is refused. */
  isRetryable?: ((error: unknown) => boolean) | undefined;
  /** Category of errors that are no {@link RuLakeError}. Default: all `permanent`, which means rethrown at once. */
  classify?: ((error: unknown) => ErrorCategory) | undefined;
  /** Told before each wait: the error, the number of the attempt that failed with it, from 1, and the wait. */
  onRetry?: ((retry: { error: unknown; attempt: number; delayMs: number }) => void) | undefined;
}

/**
 * Runs `fn` again after errors that may pass: `transient` ones three times, after 1, 2 and 4 seconds (with jitter),
 * `infrastructure` ones once, `permanent` ones never. The last error is thrown as it is. Where an error says in
 * `context.retryAfterMs` how long the other side wants to be left alone, the wait is at least that long.
 *
 * Waits of both kinds are counted apart. While it waits, the process does not end.
 *
 * @param fn - the work; told the number of the attempt, from 1
 * @throws what `fn` throws last; the reason of `policy.signal`; {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 *
 * @example
 * ```ts
 * const { snapshot } = await withRetry(() => lake.session(async (s) => s.collection("docs").upsert(records)));
 * ```
 */
export async function withRetry<T>(
  fn: (attempt: number) => T | PromiseLike<T>,
  policy: RetryPolicy = {},
): Promise<T> {
  check(fn, policy);
  const { transientDelaysMs = [1000, 2000, 4000], infrastructureDelaysMs = [1000], jitter = 0.5 } = policy;
  const used = { transient: 0, infrastructure: 0, permanent: 0 };
  const delays = { transient: transientDelaysMs, infrastructure: infrastructureDelaysMs, permanent: [] };
  for (let attempt = 1; ; attempt++) {
    policy.signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      const category = RuLakeError.isInstance(error)
        ? error.category
        : (policy.classify?.(error) ?? "permanent");
      const wait = delays[category][used[category]++];
      if (wait === undefined || policy.isRetryable?.(error) === false) throw error;
      const delayMs = Math.max(wait * (1 - jitter * Math.random()), askedDelayMs(error));
      policy.onRetry?.({ error, attempt, delayMs });
      await pause(delayMs, policy.signal);
    }
  }
}

function askedDelayMs(error: unknown): number {
  const asked = RuLakeError.isInstance(error) ? error.context.retryAfterMs : undefined;
  return typeof asked === "number" ? asked : 0;
}

const names = [
  "transientDelaysMs",
  "infrastructureDelaysMs",
  "jitter",
  "signal",
  "isRetryable",
  "classify",
  "onRetry",
];

function check(fn: unknown, policy: RetryPolicy): void {
  const where = "withRetry()";
  if (typeof fn !== "function") {
    throw invalidOption(where, "fn", "a function", fn, "Write withRetry(() => the call, policy).");
  }
  checkOptions(policy, names, where);
  checkSignal(policy.signal, where);
  for (const option of ["transientDelaysMs", "infrastructureDelaysMs"] as const) {
    const delays: unknown = policy[option];
    const isDelay = (ms: unknown) => typeof ms === "number" && ms >= 0 && ms <= MAX_DELAY_MS;
    if (delays === undefined || (Array.isArray(delays) && delays.every(isDelay))) continue;
    throw invalidOption(where, option, `a list of milliseconds from 0 to ${MAX_DELAY_MS}`, delays);
  }
  const { jitter = 0 } = policy;
  if (!(typeof jitter === "number" && jitter >= 0 && jitter <= 1)) {
    throw invalidOption(where, "jitter", "a number from 0 to 1", jitter);
  }
  for (const option of ["isRetryable", "classify", "onRetry"] as const) {
    const given: unknown = policy[option];
    if (given !== undefined && typeof given !== "function")
      throw invalidOption(where, option, "a function", given);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
  });
}
