export { A2A_EVENT, type A2ATool, createA2ATool, createA2ATools } from "./agents/tools/langchain.js";
export type { A2AToolArtifact, A2AToolInput, A2AToolOptions } from "./agents/tools/remote-tool.js";
export type { A2AToolsOptions } from "./agents/tools/remote-tools.js";
export { OnnxEmbeddings, type OnnxEmbeddingsParams } from "./embeddings/langchain.js";
export type { AddProgress } from "./vectorstore/batches.js";
export { RuLakeVectorStore } from "./vectorstore/langchain.js";
export type {
  AddDocumentsOptions,
  DeleteDocuments,
  DocumentFilter,
  RuLakeVectorStoreLocation,
  RuLakeVectorStoreOptions,
  SearchDocumentsOptions,
} from "./vectorstore/langchain-options.js";
export type { RetrieverExtras, RetrieverFields } from "./vectorstore/langchain-retriever.js";
export type { StoreLocation } from "./vectorstore/location.js";
export type { StoreOptions } from "./vectorstore/store-options.js";
