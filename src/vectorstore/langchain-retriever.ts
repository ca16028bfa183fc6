import type { CallbackManagerForRetrieverRun } from "@langchain/core/callbacks/manager";
import type { Document } from "@langchain/core/documents";
import {
  type VectorStoreInterface,
  VectorStoreRetriever,
  type VectorStoreRetrieverInput,
} from "@langchain/core/vectorstores";
import type { RuLakeVectorStore } from "./langchain.js";
import { checkRetrieverFields, type DocumentFilter } from "./langchain-options.js";

/** What the store's retriever takes beyond LangChain's fields. */
export interface RetrieverExtras {
  /** Leave out documents with a lower score. Default: that of the store. */
  minScore?: number | undefined;
  /** Recall to reach on average, above 0 and at most 1; lower is faster. Default: that of the store. */
  recallTarget?: number | undefined;
}

/** Fields of `store.asRetriever({ … })`. */
export type RetrieverFields<Store extends VectorStoreInterface> = Partial<VectorStoreRetrieverInput<Store>> &
  RetrieverExtras;

/** LangChain's retriever over a store, with a lowest score and a recall target. */
class RuLakeStoreRetriever<
  Meta extends object,
  Store extends RuLakeVectorStore<Meta>,
> extends VectorStoreRetriever<Store> {
  readonly #extras: RetrieverExtras;

  static override lc_name(): string {
    return "VectorStoreRetriever";
  }

  constructor(fields: VectorStoreRetrieverInput<Store>, extras: RetrieverExtras) {
    super(fields);
    this.#extras = extras;
  }

  /** Searches as the fields of the retriever say. */
  override async _getRelevantDocuments(
    query: string,
    _runManager?: CallbackManagerForRetrieverRun,
  ): Promise<Document<Meta>[]> {
    const { k, searchKwargs, vectorStore } = this;
    const mmr =
      this.searchType === "mmr" ? { fetchK: searchKwargs?.fetchK, lambda: searchKwargs?.lambda } : undefined;
    const filter = this.filter as DocumentFilter<Meta> | undefined;
    const found = await vectorStore.search(query, { k, filter, mmr, ...this.#extras });
    return found.map(([document]) => document);
  }
}

/**
 * The retriever that fields describe.
 *
 * @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION`, `UNSUPPORTED_SEARCH_TYPE`; LakeError `INVALID_K`
 */
export function makeRetriever<Meta extends object, Store extends RuLakeVectorStore<Meta>>(
  store: Store,
  given: RetrieverFields<Store>,
): VectorStoreRetriever<Store> {
  checkRetrieverFields(given, "RuLakeVectorStore.asRetriever");
  const { minScore, recallTarget, ...fields } = given;
  const tags = [...(fields.tags ?? []), store._vectorstoreType()];
  const input = { ...fields, vectorStore: store, tags } as VectorStoreRetrieverInput<Store>;
  return new RuLakeStoreRetriever<Meta, Store>(input, { minScore, recallTarget });
}
