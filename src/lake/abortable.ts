/**
 * The items of an async iterator until a signal aborts, which also ends the wait for the next one. Asking for items then
 * rejects with the signal's reason. To be read to its end or left by `return`: it listens to the signal until then.
 */
export class Abortable<T> implements AsyncIterator<T> {
  readonly #items: AsyncIterator<T>;
  readonly #signal: AbortSignal;
  /** Ends the wait under way. */
  #reject: ((reason: unknown) => void) | undefined;
  readonly #stop = () => this.#reject?.(this.#signal.reason);

  constructor(items: AsyncIterator<T>, signal: AbortSignal) {
    this.#items = items;
    this.#signal = signal;
    // One for all items: thousands of them would be added and removed otherwise.
    signal.addEventListener("abort", this.#stop, { once: true });
  }

  async next(): Promise<IteratorResult<T>> {
    try {
      const item = await this.#unlessAborted(() => this.#items.next());
      // It may be no object at all, which is for the reader to find.
      if (item?.done) this.#end();
      return item;
    } catch (error) {
      this.#end();
      if (this.#signal.aborted) await this.#leave();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<T>> {
    try {
      if (this.#signal.aborted) await this.#leave();
      else await this.#unlessAborted(async () => this.#items.return?.());
    } finally {
      this.#end();
    }
    return { done: true, value: undefined };
  }

  #unlessAborted<V>(start: () => V | PromiseLike<V>): Promise<V> {
    return new Promise<V>((resolve, reject) => {
      this.#signal.throwIfAborted();
      this.#reject = reject;
      Promise.resolve(start()).then(resolve, reject);
    });
  }

  /**
   * Closes the source, and waits a turn of the event loop for it, not longer: a generator in the midst of an `await` closes
   * when that ends, which may be never. What it throws then concerns nobody.
   */
  async #leave(): Promise<void> {
    const closed = (async () => this.#items.return?.())().catch(() => {});
    await Promise.race([closed, new Promise((later) => setImmediate(later))]);
  }

  #end(): void {
    this.#signal.removeEventListener("abort", this.#stop);
  }
}
