import { nextTurn } from "../../turns.js";

/** Longest piece of work between two turns of the event loop, in milliseconds. */
const SLICE_MS = 1;

/**
 * The items of batches one by one, as an async generator would give them, but with one promise for each instead of
 * several: that is most of what a burst of small items costs. By time, not by number, it lets the event loop turn.
 */
export class Unbatched<T> implements AsyncGenerator<T, void, undefined> {
  readonly #batches: AsyncGenerator<readonly T[], void, undefined>;
  /** Asked before every item; throws to end here. */
  readonly #check: () => void;
  #batch: readonly T[] = [];
  #at = 0;
  #sliceStart = performance.now();
  /** The call that waits for a batch or for the event loop: others come after it. */
  #waiting: Promise<unknown> | undefined;

  constructor(batches: AsyncGenerator<readonly T[], void, undefined>, check: () => void) {
    this.#batches = batches;
    this.#check = check;
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#waiting !== undefined) return this.#waiting.then(() => this.next());
    const isLate = performance.now() - this.#sliceStart > SLICE_MS;
    if (isLate || this.#at >= this.#batch.length) return this.#wait(isLate);
    return this.#give();
  }

  /** Ends the batches; items that were not asked for are dropped. */
  async return(): Promise<IteratorResult<T, void>> {
    this.#batch = [];
    await this.#batches.return();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#batch = [];
    await this.#batches.throw(error);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #give(): Promise<IteratorResult<T, void>> {
    try {
      this.#check();
    } catch (error) {
      // The batches end with the same error, after what they have to do then.
      return this.throw(error);
    }
    return Promise.resolve({ done: false, value: this.#batch[this.#at++] as T });
  }

  #wait(isLate: boolean): Promise<IteratorResult<T, void>> {
    const result = this.#nextItem(isLate);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#waiting = settled.then(() => {
      this.#waiting = undefined;
    });
    return result;
  }

  async #nextItem(isLate: boolean): Promise<IteratorResult<T, void>> {
    if (isLate) {
      await nextTurn();
      this.#sliceStart = performance.now();
    }
    while (this.#at >= this.#batch.length) {
      const { done, value } = await this.#batches.next();
      if (done) return { done: true, value: undefined };
      this.#batch = value;
      this.#at = 0;
    }
    return this.#give();
  }
}
