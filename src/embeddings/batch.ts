import type { EncodeSettings } from "./protocol.js";

/** Texts looked at together when sorting; bounds the work of one turn of the event loop. */
const WINDOW = 1024;
/** A chunk ends at whichever comes first. */
const CHUNK_TEXTS = 16;
const CHUNK_CHARACTERS = 4096;

/** Texts of one call and what became of them. */
export class Batch {
  readonly texts: readonly string[];
  readonly settings: EncodeSettings;
  /** Served before the others: single texts, somebody waits for them. */
  readonly urgent: boolean;
  /** The vectors, in the order of the texts. */
  readonly result: Promise<Float32Array[]>;
  readonly #vectors: Float32Array[];
  readonly #onDone: ((done: number) => void) | undefined;
  #resolve!: (vectors: Float32Array[]) => void;
  #reject!: (error: unknown) => void;
  #done = 0;
  #settled = false;
  #windowEnd = 0;
  #window: number[] = [];

  constructor(
    texts: readonly string[],
    settings: EncodeSettings,
    urgent: boolean,
    onDone?: (done: number) => void,
  ) {
    this.texts = texts;
    this.settings = settings;
    this.urgent = urgent;
    this.#vectors = new Array<Float32Array>(texts.length);
    this.#onDone = onDone;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** How many texts have not been handed out. */
  get left(): number {
    return this.#settled ? 0 : this.texts.length - this.#windowEnd + this.#window.length;
  }

  /**
   * The next texts to embed, by position: longest first, so that what is left for the end is small and no worker
   * finishes long after the others.
   *
   * @param shares - into how many chunks the rest should be divided at least
   */
  draw(shares: number): number[] {
    if (this.#window.length === 0) this.#refill();
    let left = 0;
    if (this.#windowEnd === this.texts.length) {
      for (const at of this.#window) left += this.#cost(at);
    } else {
      left = Number.POSITIVE_INFINITY;
    }
    const budget = Math.min(CHUNK_CHARACTERS, left / shares);
    const chunk: number[] = [];
    for (let characters = 0; chunk.length < CHUNK_TEXTS; ) {
      const at = this.#window.at(-1);
      if (at === undefined) break;
      characters += this.#cost(at);
      if (chunk.length > 0 && characters > budget) break;
      this.#window.pop();
      chunk.push(at);
    }
    return chunk;
  }

  /** Takes the vectors of a drawn chunk. */
  accept(positions: readonly number[], vectors: Float32Array): void {
    if (this.#settled) return;
    const width = vectors.length / positions.length;
    positions.forEach((at, n) => {
      this.#vectors[at] = vectors.slice(n * width, (n + 1) * width);
    });
    this.#done += positions.length;
    try {
      this.#onDone?.(this.#done);
    } catch (error) {
      this.reject(error);
    }
    if (this.#done === this.texts.length && !this.#settled) {
      this.#settled = true;
      this.#resolve(this.#vectors);
    }
  }

  reject(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#reject(error);
  }

  /** Sorted by rising cost, because drawing takes from the end. */
  #refill(): void {
    const start = this.#windowEnd;
    this.#windowEnd = Math.min(start + WINDOW, this.texts.length);
    this.#window = Array.from({ length: this.#windowEnd - start }, (_, i) => start + i).sort(
      (a, b) => this.#cost(a) - this.#cost(b) || b - a,
    );
  }

  /** Every inference costs something, however short the text. */
  #cost(at: number): number {
    return (this.texts[at]?.length ?? 0) + 32;
  }
}
