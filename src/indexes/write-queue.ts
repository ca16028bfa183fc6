/**
 * Runs the changes of one index one after the other, in the order of the calls.
 *
 * Two changes at once would only wait for each other on the native side, holding a thread each; and a caller who does
 * not await `add` before `delete` still expects that order.
 */
export class WriteQueue {
  #tail: Promise<unknown> = Promise.resolve();

  /** Starts `task` at once; it awaits its `turn` before it changes anything. */
  run<T>(task: (turn: Promise<unknown>) => Promise<T>): Promise<T> {
    const turn = this.#tail;
    const result = task(turn);
    // A task that fails early must not let the next one pass those still ahead of it.
    this.#tail = Promise.allSettled([turn, result]);
    return result;
  }

  /** Settles when everything queued so far is done; never rejects. */
  idle(): Promise<unknown> {
    return this.#tail;
  }
}
