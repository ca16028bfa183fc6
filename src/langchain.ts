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
