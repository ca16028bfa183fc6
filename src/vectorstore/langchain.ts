import type { Callbacks } from "@langchain/core/callbacks/manager";
import type { Document, DocumentInterface } from "@langchain/core/documents";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import {
  type MaxMarginalRelevanceSearchOptions,
  SaveableVectorStore,
  type VectorStoreRetriever,
} from "@langchain/core/vectorstores";
import type { Collection } from "../lake/collection.js";
import { findCopy } from "./copy.js";
import { DocumentStore, type Vector } from "./document-store.js";
import { textsToDocuments } from "./documents.js";
import { onDocuments, toDocument } from "./langchain-documents.js";
import { checkEmbeddings, embedDocuments, embedQuery, knownDimensions } from "./langchain-embedding.js";
import {
  type AddDocumentsOptions,
  checkOpenOptions,
  checkSearchOptions,
  type DeleteDocuments,
  type DocumentFilter,
  type RuLakeVectorStoreLocation,
  type RuLakeVectorStoreOptions,
  readAddOptions,
  readMmrOptions,
  readSelection,
  type SearchDocumentsOptions,
  splitFactoryOptions,
  splitLocation,
} from "./langchain-options.js";
import { makeRetriever, type RetrieverFields } from "./langchain-retriever.js";
import { checkDimensions, type IfMissing, openCollection, type StoreLocation } from "./location.js";
import { checkStoreOptions, lengthMismatch, notMadeWithNew } from "./store-options.js";

/** LangChain's default. */
const K = 4;

/** Whoever has it may construct; only this module does. */
const FROM_OPEN = Symbol("RuLakeVectorStore.open");

type Ids = readonly (string | undefined)[];

/**
 * A LangChain.js vector store in this process: durable, filtered before top-k, exact scores.
 *
 * - Every add is an upsert by id: `options.ids[i]`, else `document.id`, else a new UUID. Ids are always returned.
 * - Documents come back with their id, and with content and metadata as they went in (metadata as JSON keeps it: a
 *   `Date` becomes its ISO string, fields that are `undefined` are dropped).
 * - Scores are similarities, higher is better, whatever the metric: cosine in [-1, 1]; inner product; for l2
 *   `1 / (1 + distance)`.
 *
 * @typeParam Meta - metadata of the documents; filters on other fields do not compile
 *
 * @example
 * ```ts
 * const store = await RuLakeVectorStore.open("./lake/docs", new OnnxEmbeddings());
 * await store.addDocuments(documents);
 * const answers = await store.asRetriever({ k: 5, filter: { lang: "en" } }).invoke("how do I rotate keys?");
 * ```
 */
export class RuLakeVectorStore<Meta extends object = Record<string, unknown>>
  extends SaveableVectorStore
  implements AsyncDisposable
{
  declare FilterType: DocumentFilter<Meta>;
  readonly #store: DocumentStore<Meta>;

  static override lc_name(): string {
    return "RuLakeVectorStore";
  }

  /** Use {@link RuLakeVectorStore.open} or a factory. */
  protected constructor(embeddings: EmbeddingsInterface, store: object, key?: symbol) {
    // LangChain keeps this argument for tracing and JSON: nothing goes in.
    super(embeddings, {});
    if (key !== FROM_OPEN) throw notMadeWithNew("embeddings");
    this.#store = store as DocumentStore<Meta>;
  }

  /**
   * Opens a store, and creates it when there is none.
   *
   * @param path - `"./lake/docs"` is collection `docs` of the lake `./lake`; `{ memory: true }` keeps everything in memory
   * @param embeddings - makes the vectors; an `OnnxEmbeddings` is asked for its `Float32Array`s directly
   * @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION`; LakeError `NOT_A_LAKE`, `LAKE_LOCKED` (another process
   * writes), `COLLECTION_MISMATCH`, `DIMENSION_MISMATCH` (filled with another model), `CORRUPT_FILE`, `IO`
   */
  static async open<Meta extends object = Record<string, unknown>>(
    path: StoreLocation<Meta>,
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreOptions = {},
  ): Promise<RuLakeVectorStore<Meta>> {
    return RuLakeVectorStore.#open<Meta>(path, embeddings, options, "create", "RuLakeVectorStore.open");
  }

  /**
   * Opens a store and adds texts.
   *
   * @param metadatas - one for each text, one object for all, or `[]` for none
   * @throws ConfigError `LENGTH_MISMATCH`; and as {@link RuLakeVectorStore.open} and {@link RuLakeVectorStore.addDocuments}
   */
  static override fromTexts(
    texts: string[],
    metadatas: [],
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreLocation & AddDocumentsOptions,
  ): Promise<RuLakeVectorStore>;
  static override fromTexts<Meta extends object = Record<string, unknown>>(
    texts: string[],
    metadatas: Meta[] | Meta,
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreLocation<Meta> & AddDocumentsOptions,
  ): Promise<RuLakeVectorStore<Meta>>;
  static override async fromTexts<Meta extends object>(
    texts: string[],
    metadatas: Meta[] | Meta,
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreLocation<Meta> & AddDocumentsOptions,
  ): Promise<RuLakeVectorStore<Meta>> {
    const where = "RuLakeVectorStore.fromTexts";
    const documents = textsToDocuments(texts, metadatas, where);
    return RuLakeVectorStore.#fill<Meta>(documents, embeddings, options, where);
  }

  /** Opens a store and adds documents. See {@link RuLakeVectorStore.open} and {@link RuLakeVectorStore.addDocuments}. */
  static override async fromDocuments<Meta extends object = Record<string, unknown>>(
    documents: DocumentInterface<Meta>[],
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreLocation<Meta> & AddDocumentsOptions,
  ): Promise<RuLakeVectorStore<Meta>> {
    return RuLakeVectorStore.#fill<Meta>(documents, embeddings, options, "RuLakeVectorStore.fromDocuments");
  }

  /**
   * Opens a store that must exist.
   *
   * @throws LakeError `COLLECTION_NOT_FOUND`; and as {@link RuLakeVectorStore.open}
   */
  static async fromExistingIndex<Meta extends object = Record<string, unknown>>(
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreLocation<Meta>,
  ): Promise<RuLakeVectorStore<Meta>> {
    const where = "RuLakeVectorStore.fromExistingIndex";
    const { path, open } = splitLocation(options, where);
    return RuLakeVectorStore.#open<Meta>(path, embeddings, open, "throw", where);
  }

  /**
   * Opens what {@link RuLakeVectorStore.save} wrote, in place: further adds go to that directory.
   *
   * @param directory - the one given to `save`, or `"<lake>/<collection>"`
   * @throws LakeError `COLLECTION_NOT_FOUND`; and as {@link RuLakeVectorStore.open}
   */
  static override async load<Meta extends object = Record<string, unknown>>(
    directory: string,
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreOptions = {},
  ): Promise<RuLakeVectorStore<Meta>> {
    const where = "RuLakeVectorStore.load";
    return RuLakeVectorStore.#open<Meta>(await findCopy(directory), embeddings, options, "throw", where);
  }

  static async #open<Meta extends object>(
    path: StoreLocation<Meta>,
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreOptions,
    ifMissing: IfMissing,
    where: string,
  ): Promise<RuLakeVectorStore<Meta>> {
    checkOpenOptions(options, where);
    checkStoreOptions(options, where);
    checkEmbeddings(embeddings, where);
    const opened = await openCollection<Meta>(path, options, ifMissing, where);
    try {
      checkDimensions(opened.collection, knownDimensions(embeddings));
      return new RuLakeVectorStore<Meta>(embeddings, new DocumentStore(opened, options), FROM_OPEN);
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  static async #fill<Meta extends object>(
    documents: DocumentInterface<Meta>[],
    embeddings: EmbeddingsInterface,
    options: RuLakeVectorStoreLocation<Meta> & AddDocumentsOptions,
    where: string,
  ): Promise<RuLakeVectorStore<Meta>> {
    const { path, open, add } = splitFactoryOptions(options, where);
    const store = await RuLakeVectorStore.#open<Meta>(path, embeddings, open, "create", where);
    try {
      await store.addDocuments(documents, add);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** The collection underneath: batch search, scans, statistics, compaction. */
  get collection(): Collection<Meta> {
    return this.#store.collection;
  }

  /** Documents in the store. */
  get size(): number {
    return this.collection.size;
  }

  _vectorstoreType(): string {
    return "rulake";
  }

  /**
   * Embeds documents and stores them, replacing those with the same id.
   *
   * A batch is embedded while the one before is written; each is atomic. When one fails, those before it remain
   * (`error.context.committed` says how many documents, where the error is ours): adding again with the same ids is safe.
   *
   * @param options - see {@link AddDocumentsOptions}; an array is taken for the ids
   * @returns the ids, in the order of the documents
   * @throws ConfigError `UNKNOWN_OPTION`, `LENGTH_MISMATCH`; LakeError `DIMENSION_MISMATCH`, `INVALID_ID`, `READ_ONLY`,
   * `CLOSED`, `IO`; whatever the embeddings throw
   */
  override async addDocuments(
    documents: DocumentInterface<Meta>[],
    options?: AddDocumentsOptions | Ids,
  ): Promise<string[]> {
    const where = "RuLakeVectorStore.addDocuments";
    const checked = readAddOptions(options, where);
    const embed = async (start: number, end: number) => {
      const texts = documents.slice(start, end).map((document) => document.pageContent);
      const vectors = await embedDocuments(this.embeddings, texts, checked.signal);
      // Embeddings are anybody's code.
      const made = vectors?.length ?? 0;
      if (made === texts.length) return vectors;
      throw lengthMismatch(where, "embeddings", made, texts.length);
    };
    return this.#store.add(documents, embed, checked, where);
  }

  /**
   * Stores documents whose vectors are known; otherwise as {@link RuLakeVectorStore.addDocuments}.
   *
   * @param vectors - one for each document
   */
  override async addVectors(
    vectors: readonly (number[] | Float32Array)[],
    documents: DocumentInterface<Meta>[],
    options?: AddDocumentsOptions | Ids,
  ): Promise<string[]> {
    const where = "RuLakeVectorStore.addVectors";
    const checked = readAddOptions(options, where);
    if (vectors.length !== documents.length) {
      throw lengthMismatch(where, "vectors", vectors.length, documents.length);
    }
    return this.#store.add(documents, async (start, end) => vectors.slice(start, end), checked, where);
  }

  /**
   * Deletes documents. Ids that do not exist are ignored.
   *
   * @throws ConfigError `INVALID_SELECTION` unless exactly one of the forms is given; LakeError `READ_ONLY`, `CLOSED`, `IO`
   *
   * @example
   * ```ts
   * await store.delete({ ids: ["a", "b"] });
   * await store.delete({ filter: { source: "old.md" } });
   * await store.delete({ all: true });
   * ```
   */
  override async delete(selection?: DeleteDocuments<Meta>): Promise<void> {
    const chosen = readSelection(selection, "RuLakeVectorStore.delete");
    await this.#store.delete(
      chosen === "all" || "ids" in chosen ? chosen : { filter: onDocuments(chosen.filter) },
    );
  }

  /** Documents by id, in the order asked for; ids that do not exist are skipped. */
  async getByIds(ids: readonly string[]): Promise<Document<Meta>[]> {
    return (await this.collection.get(ids)).map(toDocument);
  }

  /** Number of documents, or of those that match. */
  async count(filter?: DocumentFilter<Meta>): Promise<number> {
    return this.#store.count(filter && onDocuments(filter));
  }

  /**
   * The documents nearest to a text or a vector, best first, each with its similarity; ties in order of last add.
   * LangChain's search methods are this one with fewer options.
   *
   * @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION`; LakeError `INVALID_K`, `INVALID_FILTER`, `DIMENSION_MISMATCH`,
   * `NOT_FINITE`, `CLOSED`; whatever the embeddings throw
   */
  async search(
    query: string | Vector,
    options: SearchDocumentsOptions<Meta> = {},
  ): Promise<[Document<Meta>, number][]> {
    checkSearchOptions(options, "RuLakeVectorStore.search");
    const { k = K, filter, mmr, minScore, recallTarget, signal } = options;
    const vector = typeof query === "string" ? await embedQuery(this.embeddings, query, signal) : query;
    const judge = filter && onDocuments(filter);
    const hits = await this.#store.search(vector, { k, filter: judge, mmr, minScore, recallTarget, signal });
    return hits.map((hit) => [toDocument(hit), hit.score]);
  }

  /** The `k` documents nearest to a vector, with their similarities. See {@link RuLakeVectorStore.search}. */
  override async similaritySearchVectorWithScore(
    query: Vector,
    k: number = K,
    filter?: DocumentFilter<Meta>,
  ): Promise<[Document<Meta>, number][]> {
    return this.search(query, { k, filter });
  }

  /** The `k` documents most similar to a text. See {@link RuLakeVectorStore.search}. */
  override async similaritySearch(
    query: string,
    k: number = K,
    filter?: DocumentFilter<Meta>,
    _callbacks?: Callbacks,
  ): Promise<Document<Meta>[]> {
    return (await this.search(query, { k, filter })).map(([document]) => document);
  }

  /** The `k` documents most similar to a text, with their similarities. See {@link RuLakeVectorStore.search}. */
  override async similaritySearchWithScore(
    query: string,
    k: number = K,
    filter?: DocumentFilter<Meta>,
    _callbacks?: Callbacks,
  ): Promise<[Document<Meta>, number][]> {
    return this.search(query, { k, filter });
  }

  /**
   * Documents similar to a text and different from one another. The stored vectors are compared; only the query is
   * embedded.
   *
   * @param options - `k`; `fetchK` candidates (default 20, at least `k`); `lambda`, 1 = relevance only, 0 = variety only
   * (default 0.5); `filter`, applied before the candidates are chosen
   */
  override async maxMarginalRelevanceSearch(
    query: string,
    options: MaxMarginalRelevanceSearchOptions<DocumentFilter<Meta>>,
    _callbacks?: Callbacks,
  ): Promise<Document<Meta>[]> {
    const found = await this.search(query, readMmrOptions(options));
    return found.map(([document]) => document);
  }

  /**
   * A retriever over this store, for chains.
   *
   * @param kOrFields - the number of documents, or fields: LangChain's, and `minScore` and `recallTarget`
   * @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION`, `UNSUPPORTED_SEARCH_TYPE`; LakeError `INVALID_K`
   *
   * @example
   * ```ts
   * const varied = store.asRetriever({ searchType: "mmr", searchKwargs: { fetchK: 40, lambda: 0.3 }, minScore: 0.2 });
   * ```
   */
  override asRetriever(
    kOrFields?: number | RetrieverFields<this>,
    filter?: this["FilterType"],
    callbacks?: Callbacks,
    tags?: string[],
    metadata?: Record<string, unknown>,
    verbose?: boolean,
  ): VectorStoreRetriever<this> {
    const numbered = { k: kOrFields, filter, callbacks, tags, metadata, verbose };
    const fields = typeof kOrFields === "number" ? numbered : (kOrFields ?? {});
    return makeRetriever<Meta, this>(this, fields as RetrieverFields<this>);
  }

  /**
   * Writes a copy of the store into a lake at `directory`, which {@link RuLakeVectorStore.load} opens; a copy that is
   * there already is replaced. Not needed for durability: what an add acknowledged is on disk.
   *
   * @throws LakeError `NOT_A_LAKE` when the directory holds something else; `LAKE_LOCKED`, `IO`
   */
  override async save(directory: string): Promise<void> {
    await this.#store.save(directory);
  }

  /** Ends the use of this store. Closing twice is harmless; other calls throw `CLOSED` from then on. */
  async close(): Promise<void> {
    await this.#store.close();
  }

  /** {@link RuLakeVectorStore.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
