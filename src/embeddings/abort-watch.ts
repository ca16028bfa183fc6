/**
 * Waits for signals on behalf of many calls with one listener per signal: Node.js warns of a leak at more than ten, and
 * a signal shared by thousands of calls would be answered call by call.
 */
export class AbortWatch<T> {
  readonly #watched = new Map<AbortSignal, { items: Set<T>; listener: () => void }>();
  readonly #onAbort: (items: Iterable<T>, reason: unknown) => void;

  constructor(onAbort: (items: Iterable<T>, reason: unknown) => void) {
    this.#onAbort = onAbort;
  }

  /** Reports `item` when `signal` aborts, until the returned function is called. */
  watch(signal: AbortSignal, item: T): () => void {
    let entry = this.#watched.get(signal);
    if (entry === undefined) {
      const items = new Set<T>();
      entry = { items, listener: () => this.#onAbort(items, signal.reason) };
      signal.addEventListener("abort", entry.listener, { once: true });
      this.#watched.set(signal, entry);
    }
    const { items, listener } = entry;
    items.add(item);
    return () => {
      items.delete(item);
      if (items.size > 0 || this.#watched.get(signal)?.items !== items) return;
      signal.removeEventListener("abort", listener);
      this.#watched.delete(signal);
    };
  }
}
