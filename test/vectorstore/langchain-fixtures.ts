import { Embeddings } from "@langchain/core/embeddings";
import { type ListKeyOptions, RecordManager, type UpdateOptions } from "@langchain/core/indexing";
import { wordVector } from "./word-vectors.js";

/** {@link wordVector} for LangChain; counts what it is asked. */
export class WordEmbeddings extends Embeddings {
  /** Sizes of the calls for documents. */
  readonly batches: number[] = [];
  queries = 0;

  constructor() {
    super({});
  }

  override async embedDocuments(texts: string[]): Promise<number[][]> {
    this.batches.push(texts.length);
    return texts.map(wordVector);
  }

  override async embedQuery(text: string): Promise<number[]> {
    this.queries += 1;
    return wordVector(text);
  }
}

/** The same vector for every text. */
export class ConstantEmbeddings extends Embeddings {
  constructor() {
    super({});
  }

  override async embedDocuments(texts: string[]): Promise<number[][]> {
    return texts.map(() => [1, 2, 3, 4]);
  }

  override async embedQuery(): Promise<number[]> {
    return [1, 2, 3, 4];
  }
}

/** LangChain's record manager in memory; `@langchain/core` has only the base class. */
export class MemoryRecordManager extends RecordManager {
  override lc_namespace = ["test"];
  readonly #records = new Map<string, { time: number; group: string | null }>();
  #clock = 0;

  override async createSchema(): Promise<void> {}

  override async getTime(): Promise<number> {
    this.#clock += 1;
    return this.#clock;
  }

  override async update(keys: string[], { groupIds }: UpdateOptions = {}): Promise<void> {
    this.#clock += 1;
    for (const [i, key] of keys.entries()) {
      this.#records.set(key, { time: this.#clock, group: groupIds?.[i] ?? null });
    }
  }

  override async exists(keys: string[]): Promise<boolean[]> {
    return keys.map((key) => this.#records.has(key));
  }

  override async listKeys({ before, after, groupIds, limit }: ListKeyOptions = {}): Promise<string[]> {
    const matching = [...this.#records].filter(
      ([, { time, group }]) =>
        (before === undefined || time < before) &&
        (after === undefined || time > after) &&
        (groupIds === undefined || groupIds.includes(group)),
    );
    return matching.slice(0, limit).map(([key]) => key);
  }

  override async deleteKeys(keys: string[]): Promise<void> {
    for (const key of keys) this.#records.delete(key);
  }
}
