const STOPPED = 0;
const BUSY = 1;

/** Longest wait for a worker at exit: an inference under way has to end, and large models are slow. */
const PATIENCE_MS = 10_000;

/**
 * Keeps the process from ending a worker inside onnxruntime. Native code that finds its JavaScript environment gone
 * aborts the whole process, exit code and all; so at exit the main thread closes the gate and waits until nobody is
 * behind it.
 */
export class ExitGate {
  /** Shared between the two threads: whether the gate is closed, and whether native code runs. */
  readonly cells: Int32Array<SharedArrayBuffer>;

  constructor(cells: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(8))) {
    this.cells = cells;
  }

  /** In the worker: runs native code, or nothing ever again when the gate is closed. */
  async pass<T>(native: () => Promise<T>): Promise<T> {
    // Busy is stored before the gate is looked at, the other side does it the other way round: one of them sees the other.
    Atomics.store(this.cells, BUSY, 1);
    if (Atomics.load(this.cells, STOPPED) === 1) {
      this.#leave();
      await new Promise<never>(() => {});
    }
    try {
      return await native();
    } finally {
      this.#leave();
    }
  }

  /** In the main thread, at exit: closes the gate and blocks until native code has returned. */
  close(): void {
    Atomics.store(this.cells, STOPPED, 1);
    Atomics.wait(this.cells, BUSY, 1, PATIENCE_MS);
  }

  #leave(): void {
    Atomics.store(this.cells, BUSY, 0);
    Atomics.notify(this.cells, BUSY);
  }
}
