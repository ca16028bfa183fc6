import { Buffer } from "node:buffer";

/** Bytes of the first room: a piece of short records needs no more. */
const FIRST_BYTES = 1 << 16;

/** Room that is larger is not kept for later. */
const KEPT_BYTES = 1 << 20;

const nothing: Buffer = Buffer.alloc(0);

/** Room that no text has: large arrays that live for a moment are hard on the collector. */
let spare: Buffer | undefined;

/** Strings one after the other as UTF-8. */
export class JoinedText {
  #room: Buffer = nothing;
  #bytes = 0;

  /** Adds a string, half a surrogate pair as U+FFFD, and returns its length in bytes. */
  add(text: string): number {
    // A character of JavaScript takes at most three bytes.
    if (this.#room.length - this.#bytes < 3 * text.length) this.#makeRoom(Buffer.byteLength(text));
    const bytes = this.#room.write(text, this.#bytes);
    this.#bytes += bytes;
    return bytes;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#bytes;
  }

  /** The bytes, until something is added or they are {@link JoinedText.clear | cleared}. */
  bytes(): Uint8Array {
    return this.#room.subarray(0, this.#bytes);
  }

  clear(): void {
    if (this.#room.length > 0 && this.#room.length <= KEPT_BYTES) spare = this.#room;
    this.#room = nothing;
    this.#bytes = 0;
  }

  #makeRoom(bytes: number): void {
    const end = this.#bytes + bytes;
    if (this.#room === nothing && spare !== undefined) {
      this.#room = spare;
      spare = undefined;
    }
    if (end <= this.#room.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#room.length, FIRST_BYTES));
    larger.set(this.bytes());
    this.#room = larger;
  }
}
