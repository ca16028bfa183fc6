/** How far a step of long work is. */
export interface Progress {
  /** Name of the step, such as `copy`, `validate`, `encode`, `write`. */
  phase: string;
  /** Rows done in this step. */
  done: number;
  /** Rows of this step. */
  total: number;
}

/** Milliseconds between two reports: 20 a second are plenty for a bar. */
export const progressIntervalMs = 50;

/** Passes on the first and last report of each step and those between at most 20 times a second. */
export class ProgressReporter {
  readonly #listener: (progress: Progress) => void;
  readonly #last = new Map<string, { at: number; done: number }>();

  constructor(listener: (progress: Progress) => void) {
    this.#listener = listener;
  }

  /** Throws what the listener throws. */
  report(progress: Progress): void {
    const now = performance.now();
    const last = this.#last.get(progress.phase);
    const ends = progress.done >= progress.total;
    if (last !== undefined && (last.done >= progress.done || (now - last.at < progressIntervalMs && !ends)))
      return;
    this.#last.set(progress.phase, { at: now, done: progress.done });
    this.#listener({ phase: progress.phase, done: progress.done, total: progress.total });
  }
}
