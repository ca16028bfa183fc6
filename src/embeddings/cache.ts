/**
 * A place to keep vectors between calls, for instance a file or a database. Keys name the model, how it is used and the
 * whole text, so one store may serve several models; hash them where they are too long.
 */
export interface VectorCache {
  get(key: string): Float32Array | undefined | Promise<Float32Array | undefined>;
  set(key: string, vector: Float32Array): void | Promise<void>;
}

/** What an entry costs beside its text and numbers: map entry, string and buffer headers. */
const ENTRY_BYTES = 200;

/** Vectors in memory, the least recently used leaving first when `maxBytes` are exceeded. */
export class MemoryVectorCache implements VectorCache {
  readonly maxBytes: number;
  readonly #entries = new Map<string, Float32Array>();
  #bytes = 0;

  /** @param maxBytes - default 64 MiB, about 30,000 passages of 200 characters at 384 dimensions */
  constructor(maxBytes: number = 64 * 1024 * 1024) {
    this.maxBytes = maxBytes;
  }

  /** Estimated memory of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A copy of the vector: what the caller does to it stays with the caller. */
  get(key: string): Float32Array | undefined {
    const vector = this.#entries.get(key);
    if (vector === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, vector);
    return vector.slice();
  }

  set(key: string, vector: Float32Array): void {
    this.delete(key);
    const cost = costOf(key, vector);
    if (cost > this.maxBytes) return;
    this.#entries.set(key, vector.slice());
    this.#bytes += cost;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: string): boolean {
    const vector = this.#entries.get(key);
    if (vector === undefined) return false;
    this.#bytes -= costOf(key, vector);
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}

function costOf(key: string, vector: Float32Array): number {
  return key.length * 2 + vector.byteLength + ENTRY_BYTES;
}
