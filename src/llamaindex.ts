export { OnnxEmbedding, type OnnxEmbeddingOptions } from "./embeddings/llamaindex.js";
export {
  type RuLakeQueryParams,
  RuLakeVectorStore,
  type RuLakeVectorStoreOptions,
} from "./vectorstore/llamaindex.js";
export type { StoreLocation, StoreOptions } from "./vectorstore/location.js";
export type { NodeMetadata } from "./vectorstore/nodes.js";
