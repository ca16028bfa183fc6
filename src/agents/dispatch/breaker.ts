import { checkOptions, invalidOption } from "../../options.js";

/** When a peer that fails is left alone. */
export interface BreakerOptions {
  /** Failures in a row after which the peer is left alone. Default 3. */
  failures?: number;
  /** For how long, in milliseconds; then a single task tries it. Default 30,000. */
  cooldownMs?: number;
}

/** `closed`: tasks go to the peer; `open`: it is left alone; `half-open`: one task is trying it. */
export type BreakerState = "closed" | "open" | "half-open";

/** How the attempt went; `neither` tells nothing about the peer, such as a caller that went away. */
export type Outcome = "success" | "failure" | "neither";

const FAILURES = 3;
const COOLDOWN_MS = 30_000;

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function readBreakerOptions(options: BreakerOptions, where: string): Required<BreakerOptions> {
  checkOptions(options, ["failures", "cooldownMs"], `${where}: breaker`);
  const { failures = FAILURES, cooldownMs = COOLDOWN_MS } = options;
  if (!Number.isSafeInteger(failures) || failures < 1) {
    throw invalidOption(where, "breaker.failures", "a whole number from 1", failures);
  }
  if (!(typeof cooldownMs === "number" && cooldownMs >= 0)) {
    throw invalidOption(where, "breaker.cooldownMs", "a number from 0", cooldownMs);
  }
  return { failures, cooldownMs };
}

/** A circuit breaker: after failures in a row it lets nothing through for a while, and then exactly one probe. */
export class CircuitBreaker {
  readonly #options: Required<BreakerOptions>;
  #failures = 0;
  #openedAt: number | undefined;
  #isProbing = false;

  constructor(options: Required<BreakerOptions>) {
    this.#options = options;
  }

  get state(): BreakerState {
    if (this.#openedAt === undefined) return "closed";
    return this.#isProbing ? "half-open" : "open";
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds until the peer may be tried; 0 if it may be now, `Infinity` while a probe is under way. */
  get waitMs(): number {
    if (this.#openedAt === undefined) return 0;
    if (this.#isProbing) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#openedAt + this.#options.cooldownMs - performance.now());
  }

  /**
   * Lets a task through, if one may go; of an open circuit it is the probe. The returned function takes the outcome and
   * must be called once.
   */
  enter(): ((outcome: Outcome) => void) | undefined {
    if (this.waitMs > 0) return undefined;
    const isProbe = this.#openedAt !== undefined;
    if (isProbe) this.#isProbing = true;
    return (outcome) => this.#leave(outcome, isProbe);
  }

  #leave(outcome: Outcome, isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
    // While the circuit is open, only the probe tells: others started before it opened.
    else if (this.#openedAt !== undefined) return;
    if (outcome === "success") {
      this.#failures = 0;
      this.#openedAt = undefined;
    } else if (outcome === "failure") {
      this.#failures++;
      if (isProbe || this.#failures >= this.#options.failures) this.#openedAt = performance.now();
    }
  }
}
