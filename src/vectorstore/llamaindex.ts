import {
  type BaseEmbedding,
  type BaseNode,
  BaseVectorStore,
  jsonToNode,
  type MetadataFilters,
  type ObjectType,
  Settings,
  type VectorStoreQuery,
  VectorStoreQueryMode,
  type VectorStoreQueryResult,
} from "llamaindex";
import { ConfigError, RuLakeError } from "../errors.js";
import type { Collection } from "../lake/collection.js";
import type { Filter } from "../lake/filter.js";
import { invalidArgument } from "../lake/native-call.js";
import type { CollectionHit, RecordInput, StoredRecord } from "../lake/records.js";
import { checkOptions, describe } from "../options.js";
import { checkDimensions, type OpenedCollection, openCollection, type StoreLocation } from "./location.js";
import { filterByDocuments, translateFilters } from "./metadata-filters.js";
import { type NodeJson, type NodeMetadata, nodeToRecord, REF_DOC_PATH, recordToNode } from "./nodes.js";
import { checkStoreOptions, notMadeWithNew, STORE_OPTIONS, type StoreOptions } from "./store-options.js";

/** Options of {@link RuLakeVectorStore.open}. */
export interface RuLakeVectorStoreOptions extends StoreOptions {
  /** Makes the vectors. Default: `Settings.embedModel`. */
  embedModel?: BaseEmbedding | undefined;
}

/** What a query takes beyond LlamaIndex's fields, in `customParams`; retrievers and query engines pass it on. */
export interface RuLakeQueryParams {
  /** A filter in the lake's own language, which nests and negates; in addition to `filters`. */
  filter?: Filter | undefined;
  /** Leave out nodes with a lower similarity. Default: that of the store. */
  minScore?: number | undefined;
  /** Recall to reach on average, above 0 and at most 1. Default: that of the store. */
  recallTarget?: number | undefined;
  /** Candidates that mode `mmr` chooses from. Default `max(20, 4 * similarityTopK)`. */
  fetchK?: number | undefined;
  /** Stops the query; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

const OPEN_OPTIONS = [...STORE_OPTIONS, "embedModel"] as const;
const QUERY_PARAMS = ["filter", "minScore", "recallTarget", "fetchK", "signal"] as const;

/** Whoever has it may construct; only this module does. */
const FROM_OPEN = Symbol("RuLakeVectorStore.open");

/**
 * A LlamaIndex.TS vector store in this process: durable, all filter operators before top-k, exact scores.
 *
 * - Every add is an upsert by node id; `delete` removes the nodes of a source document.
 * - Nodes come back as they went in, of the same class, with relationships, hash and metadata (as JSON keeps it), but
 *   without their vector.
 * - Similarities are higher for better, whatever the metric: cosine in [-1, 1]; inner product; for l2
 *   `1 / (1 + distance)`.
 * - Modes `default` and `mmr`.
 *
 * `VectorStoreIndex` embeds queries with `Settings.embedModel`, throws when that is unset and never asks the store for its model.
 * {@link RuLakeVectorStore.open} therefore sets it when it is unset, and warns when it is set to another model.
 *
 * @example
 * ```ts
 * const vectorStore = await RuLakeVectorStore.open("./lake/docs", { embedModel: new OnnxEmbedding() });
 * const index = await VectorStoreIndex.fromVectorStore(vectorStore);
 * const nodes = await index.asRetriever({ similarityTopK: 5 }).retrieve({ query: "how do I rotate keys?" });
 * ```
 */
export class RuLakeVectorStore
  extends BaseVectorStore<Collection<NodeMetadata>, RuLakeQueryParams>
  implements AsyncDisposable
{
  /** Texts are stored: an index can be made of the store alone. */
  storesText = true;
  readonly #opened: OpenedCollection<NodeMetadata>;
  readonly #options: StoreOptions;

  /** Use {@link RuLakeVectorStore.open}. */
  protected constructor(embedModel: BaseEmbedding, opened: object, options: StoreOptions, key?: symbol) {
    super({ embedModel });
    if (key !== FROM_OPEN) throw notMadeWithNew("{ embedModel }");
    this.#opened = opened as OpenedCollection<NodeMetadata>;
    this.#options = options;
  }

  /**
   * Opens a store, and creates it when there is none. Sets `Settings.embedModel` when it is unset.
   *
   * @param path - `"./lake/docs"` is collection `docs` of the lake `./lake`; `{ memory: true }` keeps everything in memory
   * @throws ConfigError `EMBED_MODEL_MISSING` (neither given nor in `Settings`), `UNKNOWN_OPTION`, `INVALID_OPTION`;
   * LakeError `NOT_A_LAKE`, `LAKE_LOCKED` (another process writes), `COLLECTION_MISMATCH`, `DIMENSION_MISMATCH` (filled
   * with another model), `CORRUPT_FILE`, `IO`
   */
  static async open(path: StoreLocation, options: RuLakeVectorStoreOptions = {}): Promise<RuLakeVectorStore> {
    const where = "RuLakeVectorStore.open";
    checkOptions(options, OPEN_OPTIONS, where);
    checkStoreOptions(options, where);
    const { embedModel = currentEmbedModel(), ...rest } = options;
    if (embedModel === undefined) {
      throw new ConfigError(`${where}: there is no embedding model`, {
        code: "EMBED_MODEL_MISSING",
        hint: "pass { embedModel: new OnnxEmbedding() } or set Settings.embedModel before",
      });
    }
    const opened = await openCollection<NodeMetadata>(path, rest, "create", where);
    try {
      checkDimensions(opened.collection, dimensionsOf(embedModel));
      const store = new RuLakeVectorStore(embedModel, opened, rest, FROM_OPEN);
      shareEmbedModel(embedModel);
      return store;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /** The collection underneath. */
  client(): Collection<NodeMetadata> {
    return this.#opened.collection;
  }

  /** Nodes in the store. */
  get size(): number {
    return this.client().size;
  }

  /**
   * Stores nodes with their vectors, replacing those with the same id, in atomic batches of up to 10,000; those
   * committed before a failure remain.
   *
   * @returns the ids, in the order of the nodes
   * @throws ConfigError `EMBEDDING_MISSING`; LakeError `DIMENSION_MISMATCH`, `NOT_FINITE`, `READ_ONLY`, `CLOSED`, `IO`
   */
  async add(nodes: BaseNode[]): Promise<string[]> {
    if (!Array.isArray(nodes)) {
      throw invalidArgument("RuLakeVectorStore.add", "nodes", "an array of nodes", describe(nodes));
    }
    for (const node of nodes) {
      if (node.embedding === undefined) throw notEmbedded(node);
    }
    checkDimensions(this.client(), nodes[0]?.embedding?.length);
    const { durability } = this.#options;
    const { ids } = await this.client().upsert(recordsOf(nodes.slice()), { durability });
    return ids;
  }

  /** Deletes the nodes of a source document; a node without a source counts as its own. Unknown ids are ignored. */
  async delete(refDocId: string): Promise<void> {
    await this.client().delete({ filter: { [REF_DOC_PATH]: refDocId } }, this.#writing);
  }

  /** Deletes nodes by their own ids. Unknown ids are ignored. */
  async deleteNodes(ids: readonly string[]): Promise<void> {
    await this.client().delete({ ids }, this.#writing);
  }

  /** Deletes all nodes. */
  async clear(): Promise<void> {
    await this.client().delete({ all: true }, this.#writing);
  }

  get #writing(): Pick<StoreOptions, "durability"> {
    return { durability: this.#options.durability };
  }

  /**
   * Nodes by their own ids, in the order asked for; unknown ids are skipped.
   *
   * @param options - `embeddings: true` for nodes with their vectors
   */
  async getNodes(ids: readonly string[], options: { embeddings?: boolean } = {}): Promise<BaseNode[]> {
    checkOptions(options, ["embeddings"], "RuLakeVectorStore.getNodes");
    const include = options.embeddings ? (["text", "metadata", "vector"] as const) : undefined;
    return (await this.client().get(ids, { include })).map(toNode);
  }

  /** Number of nodes, or of those that match. */
  async count(filters?: MetadataFilters): Promise<number> {
    return this.client().count(filters && translateFilters(filters));
  }

  /**
   * The nodes nearest to `queryEmbedding`, best first, with their similarities; ties in order of last add.
   *
   * `filters` and `docIds` (ids of source documents, or of nodes) apply before the best are chosen. `mmrThreshold` is
   * 1 for relevance only and 0 for variety only, by default 0.5. See {@link RuLakeQueryParams} for `customParams`.
   *
   * @throws ConfigError `UNSUPPORTED_QUERY_MODE`, `QUERY_EMBEDDING_MISSING`, `UNKNOWN_OPTION`; LakeError `INVALID_FILTER`,
   * `DIMENSION_MISMATCH`, `INVALID_K`, `CLOSED`
   */
  async query(query: VectorStoreQuery<RuLakeQueryParams>): Promise<VectorStoreQueryResult> {
    if (typeof query !== "object" || query === null) {
      throw invalidArgument("RuLakeVectorStore.query", "query", "a VectorStoreQuery", describe(query));
    }
    const { queryEmbedding, similarityTopK: k, docIds, filters, mode, mmrThreshold } = query;
    const { minScore, recallTarget } = this.#options;
    checkOptions(query.customParams, QUERY_PARAMS, "RuLakeVectorStore.query, customParams");
    const { filter, fetchK, ...custom } = query.customParams ?? {};
    const mmr =
      checkMode(mode) === VectorStoreQueryMode.MMR ? { fetchK, lambda: mmrThreshold ?? 0.5 } : undefined;
    if (queryEmbedding === undefined) {
      throw new ConfigError("RuLakeVectorStore.query: 'queryEmbedding' is missing", {
        code: "QUERY_EMBEDDING_MISSING",
        hint: "embed the question first: embedModel.getQueryEmbedding(...), or ask through a retriever",
      });
    }
    checkDimensions(this.client(), queryEmbedding.length);
    const conditions: Filter[] = [];
    if (filters !== undefined) conditions.push(translateFilters(filters));
    if (docIds !== undefined) conditions.push(filterByDocuments(docIds));
    if (filter !== undefined) conditions.push(filter);
    const hits = await this.client().search(queryEmbedding, {
      minScore,
      recallTarget,
      ...custom,
      k,
      mmr,
      filter: conditions.length > 1 ? { $and: conditions } : conditions[0],
    });
    return toResult(hits);
  }

  /** Ends the use of this store. Closing twice is harmless; other calls throw `CLOSED` from then on. */
  async close(): Promise<void> {
    await this.#opened.close();
  }

  /** {@link RuLakeVectorStore.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function checkMode(mode: VectorStoreQueryMode | undefined): VectorStoreQueryMode {
  const supported: readonly string[] = [VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR];
  if (mode === undefined) return VectorStoreQueryMode.DEFAULT;
  if (supported.includes(mode)) return mode;
  throw new ConfigError(`RuLakeVectorStore.query: mode '${mode}' is not supported`, {
    code: "UNSUPPORTED_QUERY_MODE",
    context: { mode, supported },
    hint: `supported modes: ${supported.join(", ")}`,
  });
}

function toResult(hits: CollectionHit<NodeMetadata>[]): VectorStoreQueryResult {
  return {
    nodes: hits.map(toNode),
    similarities: hits.map((hit) => hit.score),
    ids: hits.map((hit) => hit.id),
  };
}

function toRecord(node: BaseNode): RecordInput<NodeMetadata> {
  return nodeToRecord(node.toJSON() as NodeJson, node.getEmbedding(), node.sourceNode?.nodeId ?? node.id_);
}

/** One by one, as the collection asks for them: JSON and hashes take a while, and it minds the event loop. */
function* recordsOf(nodes: readonly BaseNode[]): Generator<RecordInput<NodeMetadata>> {
  for (const node of nodes) yield toRecord(node);
}

function toNode(record: StoredRecord<NodeMetadata>): BaseNode {
  const { hash, type, ...fields } = recordToNode(record);
  const node = jsonToNode(fields, type as ObjectType);
  // The constructors drop a start at position 0 and the hash, which would then be computed anew without that start.
  for (const [name, value] of Object.entries(fields)) {
    if (Reflect.get(node, name) === undefined) Reflect.set(node, name, value);
  }
  if (hash !== undefined) node.hash = hash;
  if (record.vector !== undefined) node.embedding = Array.from(record.vector);
  return node;
}

function notEmbedded(node: BaseNode): ConfigError {
  return new ConfigError(`RuLakeVectorStore.add: node '${node.id_}' has no embedding`, {
    code: "EMBEDDING_MISSING",
    context: { id: node.id_ },
    hint: "VectorStoreIndex embeds what it inserts; in an IngestionPipeline put the embedding model last",
  });
}

function currentEmbedModel(): BaseEmbedding | undefined {
  try {
    return Settings.embedModel;
  } catch {
    // It throws when unset.
    return undefined;
  }
}

function dimensionsOf(embedModel: BaseEmbedding): number | undefined {
  try {
    return embedModel.embedInfo?.dimensions;
  } catch (error) {
    if (RuLakeError.isInstance(error) && error.code === "DIMENSIONS_UNKNOWN") return undefined;
    throw error;
  }
}

function shareEmbedModel(embedModel: BaseEmbedding): void {
  const current = currentEmbedModel();
  if (current === undefined) Settings.embedModel = embedModel;
  else if (
    current.constructor !== embedModel.constructor ||
    dimensionsOf(current) !== dimensionsOf(embedModel)
  ) {
    process.emitWarning(
      "RuLakeVectorStore: Settings.embedModel is another model than the store's, and VectorStoreIndex embeds queries with it",
      { code: "RULAKE_EMBED_MODEL", detail: "set Settings.embedModel to the model of the store" },
    );
  }
}
