import type { NativeIndex } from "../../native/binding.js";
import { IndexError } from "../errors.js";
import { callNative } from "./failure.js";

/**
 * The native part of an index until it is closed. Calls that were begun before are finished: what they hold is let go
 * of after the last of them.
 */
export class NativeHandle {
  readonly #native: NativeIndex;
  #holders = 0;
  #closed = false;

  constructor(native: NativeIndex) {
    this.#native = native;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The native part, for use before anything is awaited.
   *
   * @throws {@link IndexError} `CLOSED`
   */
  open(where: string): NativeIndex {
    if (!this.#closed) return this.#native;
    throw new IndexError(`${where}: the index is closed`, {
      code: "CLOSED",
      hint: "Load or build it again; close() only once nothing needs it any more.",
    });
  }

  /**
   * Runs `work` with the native part, which stays open until that is done.
   *
   * @throws {@link IndexError} `CLOSED`
   */
  async hold<T>(where: string, work: (native: NativeIndex) => T | Promise<T>): Promise<T> {
    const native = this.open(where);
    this.#holders += 1;
    try {
      return await work(native);
    } finally {
      this.#holders -= 1;
      this.#letGo();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#letGo();
  }

  #letGo(): void {
    if (this.#closed && this.#holders === 0) callNative("VectorIndex.close", () => this.#native.close());
  }
}
