export { OnnxEmbedding, type OnnxEmbeddingOptions } from "./embeddings/llamaindex.js";
export {
  type RuLakeQueryParams,
  RuLakeVectorStore,
  type RuLakeVectorStoreOptions,
} from "./vectorstore/llamaindex.js";
export type { StoreLocation } from "./vectorstore/location.js";
export type { NodeMetadata } from "./vectorstore/nodes.js";
export type { StoreOptions } from "./vectorstore/store-options.js";
