import type { Collection } from "../lake/collection.js";
import type { Filter } from "../lake/filter.js";
import { pickVaried } from "../lake/mmr.js";
import type { CollectionHit, RecordPart, StoredRecord } from "../lake/records.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { type BatchOptions, upsertInBatches } from "./batches.js";
import { copyCollection } from "./copy.js";
import { chooseId, documentToRecord, type TextDocument } from "./documents.js";
import { checkDimensions, type OpenedCollection } from "./location.js";
import { searchAccepted } from "./predicate.js";
import { lengthMismatch, type StoreOptions } from "./store-options.js";

/** A vector as callers have it. */
export type Vector = readonly number[] | Float32Array;

/** A filter in the lake's language, or a function that judges records. */
export type RecordFilter<Meta extends object> = Filter<Meta> | ((record: StoredRecord<Meta>) => boolean);

/** What {@link DocumentStore.search} takes; the defaults of the store fill in. */
export interface RecordSearch<Meta extends object> {
  k: number;
  filter: RecordFilter<Meta> | undefined;
  mmr: { fetchK?: number | undefined; lambda?: number | undefined } | undefined;
  minScore: number | undefined;
  recallTarget: number | undefined;
  signal: AbortSignal | undefined;
}

/** What {@link DocumentStore.add} takes. */
export type RecordAdd = Omit<BatchOptions, "batchSize" | "where"> & {
  batchSize: number | undefined;
  ids: readonly (string | undefined)[] | undefined;
};

const BATCH_SIZE = 512;
const FETCH_K = 20;
const LAMBDA = 0.5;

/** Texts with metadata over a collection: what the adapters share, without their frameworks. */
export class DocumentStore<Meta extends object> {
  readonly #opened: OpenedCollection<Meta>;
  readonly #options: StoreOptions & { batchSize?: number | undefined };

  constructor(opened: OpenedCollection<Meta>, options: StoreOptions & { batchSize?: number | undefined }) {
    this.#opened = opened;
    this.#options = options;
  }

  get collection(): Collection<Meta> {
    return this.#opened.collection;
  }

  /**
   * Stores documents and returns their ids.
   *
   * @param vectorsOf - the vectors of the documents from `start` to `end`
   * @param where - the call as the user wrote it, for messages
   * @throws ConfigError `LENGTH_MISMATCH` when ids are given, but not one for each document
   */
  async add(
    documents: readonly TextDocument<Meta>[],
    vectorsOf: (start: number, end: number) => Promise<readonly Vector[]>,
    options: RecordAdd,
    where: string,
  ): Promise<string[]> {
    if (options.ids !== undefined && options.ids.length !== documents.length) {
      throw lengthMismatch(where, "ids", options.ids.length, documents.length);
    }
    const ids: string[] = [];
    const make = async (start: number, end: number) => {
      const vectors = await vectorsOf(start, end);
      if (isTurnOver()) await nextTurn();
      checkDimensions(this.collection, vectors[0]?.length);
      return vectors.map((vector, i) => {
        const document = documents[start + i] as TextDocument<Meta>;
        const id = chooseId(document, options.ids?.[start + i]);
        ids.push(id);
        return documentToRecord(document, id, vector);
      });
    };
    await upsertInBatches(this.collection, documents.length, make, {
      where,
      batchSize: options.batchSize ?? this.#options.batchSize ?? BATCH_SIZE,
      durability: options.durability ?? this.#options.durability,
      signal: options.signal,
      onProgress: options.onProgress,
    });
    return ids;
  }

  /** The nearest records, best first; a filter of either kind is applied before the best `k` are chosen. */
  async search(vector: Vector, options: RecordSearch<Meta>): Promise<CollectionHit<Meta>[]> {
    const { k, filter, signal } = options;
    // Whatever has no length is refused by the collection.
    checkDimensions(this.collection, vector?.length);
    const minScore = options.minScore ?? this.#options.minScore;
    const recallTarget = options.recallTarget ?? this.#options.recallTarget;
    const { fetchK = FETCH_K, lambda = LAMBDA } = options.mmr ?? {};
    const mmr = options.mmr && { fetchK: Math.max(fetchK, k), lambda };
    const shared = { minScore, recallTarget, signal };
    if (typeof filter !== "function") {
      return this.collection.search(vector, { ...shared, k, filter, mmr });
    }
    const include: RecordPart[] = mmr ? ["text", "metadata", "vector"] : ["text", "metadata"];
    const search = (count: number) => this.collection.search(vector, { ...shared, k: count, include });
    const candidates = await searchAccepted(search, filter, mmr?.fetchK ?? k);
    if (mmr === undefined) return candidates;
    const vectors = candidates.map((hit) => hit.vector ?? new Float32Array(vector.length));
    const picks = await pickVaried(Float32Array.from(vector), vectors, k, mmr.lambda, signal);
    return picks.flatMap((i) => candidates[i] ?? []);
  }

  /** Deletes what is selected. */
  async delete(
    selection: { ids: readonly string[] } | { filter: RecordFilter<Meta> } | "all",
  ): Promise<void> {
    const options = { durability: this.#options.durability };
    if (selection === "all") {
      await this.collection.delete({ all: true }, options);
    } else if ("ids" in selection) {
      await this.collection.delete({ ids: selection.ids }, options);
    } else if (typeof selection.filter === "function") {
      await this.collection.delete({ ids: await this.#idsAccepted(selection.filter) }, options);
    } else {
      await this.collection.delete({ filter: selection.filter }, options);
    }
  }

  /** Number of records, or of those that match. */
  async count(filter?: RecordFilter<Meta>): Promise<number> {
    if (typeof filter === "function") return (await this.#idsAccepted(filter)).length;
    return this.collection.count(filter);
  }

  async #idsAccepted(accept: (record: StoredRecord<Meta>) => boolean): Promise<string[]> {
    const ids: string[] = [];
    for await (const record of this.collection.scan()) {
      if (accept(record)) ids.push(record.id);
    }
    return ids;
  }

  /** Writes a copy into the lake at a directory. See {@link copyCollection}. */
  async save(directory: string): Promise<void> {
    await copyCollection(this.collection, this.#opened.lakePath, directory, this.#options.index);
  }

  /** Closes what was opened for this store. */
  async close(): Promise<void> {
    await this.#opened.close();
  }
}
