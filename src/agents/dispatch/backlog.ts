interface Entry {
  count: number;
  release: (() => void) | undefined;
  waiting: Promise<void> | undefined;
}

/** Most updates of a task that wait to be stored and sent before its handler has to wait. */
const LARGEST = 256;

/**
 * Counts the updates of running tasks that were given out and not taken yet, so that a handler is no faster than its
 * caller: the queue of the SDK between them has no bounds.
 */
export class Backlog {
  readonly #entries = new Map<string, Entry>();

  /** A turn of a task begins. */
  open(taskId: string): void {
    this.#entries.set(taskId, { count: 0, release: undefined, waiting: undefined });
  }

  /** Its handler gave an update out. */
  add(taskId: string): void {
    const entry = this.#entries.get(taskId);
    if (entry !== undefined) entry.count++;
  }

  /** An update was taken. */
  take(taskId: string): void {
    const entry = this.#entries.get(taskId);
    if (entry === undefined || entry.count === 0) return;
    entry.count--;
    if (entry.count >= LARGEST) return;
    entry.release?.();
    entry.release = entry.waiting = undefined;
  }

  /** Resolves when the handler may go on; `undefined` if it may now. */
  ready(taskId: string): Promise<void> | undefined {
    const entry = this.#entries.get(taskId);
    if (entry === undefined || entry.count < LARGEST) return undefined;
    entry.waiting ??= new Promise((resolve) => {
      entry.release = resolve;
    });
    return entry.waiting;
  }

  /** The turn is over. */
  close(taskId: string): void {
    this.#entries.get(taskId)?.release?.();
    this.#entries.delete(taskId);
  }
}
