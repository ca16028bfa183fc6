import { A2AError } from "../../errors.js";

/** What a deadline is for; `context.phase` of the error. */
export type Phase = "connect" | "headers" | "idle" | "total";

/**
 * One call from its first byte to the last of the answer: whatever ends it early (a deadline, the caller's signal,
 * closing) becomes the reason of {@link Call.signal}, and the first reason stays.
 */
export class Call {
  readonly #controller = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #place: string;
  readonly #onEnd: (call: Call) => void;
  readonly #outer: AbortSignal | undefined;
  readonly #forward = () => this.fail(this.#outer?.reason);

  constructor(
    place: string,
    totalMs: number,
    outer: AbortSignal | null | undefined,
    onEnd: (call: Call) => void,
  ) {
    this.#place = place;
    this.#onEnd = onEnd;
    this.#outer = outer ?? undefined;
    this.#outer?.addEventListener("abort", this.#forward, { once: true });
    if (this.#outer?.aborted) this.#forward();
    else this.arm("total", totalMs, false);
  }

  /** Aborted when the call has failed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What the call failed with, or `error` when nothing ended it from outside. */
  reason(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }

  /** Ends the call with an error. */
  fail(error: unknown): void {
    this.#controller.abort(error);
    this.end();
  }

  /**
   * Starts a deadline; the result stops it.
   *
   * @param keepsProcess - somebody waits for it; an answer that nobody reads should not keep the process
   */
  arm(phase: Phase, ms: number, keepsProcess = true): () => void {
    const timer = setTimeout(() => this.fail(tooLate(this.#place, phase, ms)), ms);
    if (!keepsProcess) timer.unref();
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }

  /** Nothing more will happen: stops all deadlines and forgets the caller's signal. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#outer?.removeEventListener("abort", this.#forward);
    this.#onEnd(this);
  }
}

const WAITED_FOR: Record<Phase, string> = {
  connect: "no connection",
  headers: "no answer",
  idle: "nothing more of the answer",
  total: "not the whole answer",
};

/** The error of a deadline that has passed. */
export function tooLate(place: string, phase: Phase, ms: number): A2AError {
  return new A2AError(`${place}: ${WAITED_FOR[phase]} within ${ms} ms`, {
    code: "DEADLINE_EXCEEDED",
    category: "transient",
    context: { url: place, phase, ms },
    hint: `Raise limits.${phase}Ms if the agent may take longer.`,
  });
}
