export { type A2AFunctionTool, type A2ARunOptions, a2aTool, a2aTools } from "./agents/tools/llamaindex.js";
export type { A2AToolInput, A2AToolOptions } from "./agents/tools/remote-tool.js";
export type { A2AToolsOptions } from "./agents/tools/remote-tools.js";
export { OnnxEmbedding, type OnnxEmbeddingOptions } from "./embeddings/llamaindex.js";
export {
  type RuLakeQueryParams,
  RuLakeVectorStore,
  type RuLakeVectorStoreOptions,
} from "./vectorstore/llamaindex.js";
export type { StoreLocation } from "./vectorstore/location.js";
export type { NodeMetadata } from "./vectorstore/nodes.js";
export type { StoreOptions } from "./vectorstore/store-options.js";
