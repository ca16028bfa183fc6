import { createHash, type Hash } from "node:crypto";

/** UTF-16 code units that are kept as they are before they become part of the digest. */
const LONGEST_TAIL = 64 * 1024;

/**
 * A text that was given out in pieces and is not kept: only its length and digest, by which it is recognised as the
 * beginning of another text. However long an agent talks, it takes no more memory.
 */
export class GivenText {
  /** In UTF-16 code units. */
  length = 0;
  #tail = "";
  /** Of everything before the tail, in UTF-16, which has a form for halves of surrogate pairs as well. */
  #digest: Hash | undefined;

  /** Code units that are kept. */
  get held(): number {
    return this.#tail.length;
  }

  add(text: string): void {
    this.length += text.length;
    this.#tail += text;
    if (this.#tail.length > LONGEST_TAIL) this.fold();
  }

  /** Keeps nothing but the digest. */
  fold(): void {
    this.#digest ??= createHash("sha256");
    this.#digest.update(this.#tail, "utf16le");
    this.#tail = "";
  }

  isStartOf(text: string): boolean {
    if (this.#digest === undefined) return text.startsWith(this.#tail);
    if (text.length < this.length || !text.slice(0, this.length).endsWith(this.#tail)) return false;
    const before = createHash("sha256").update(text.slice(0, this.length - this.#tail.length), "utf16le");
    return before.digest().equals(this.#digest.copy().digest());
  }
}
