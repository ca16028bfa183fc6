export { OnnxEmbedding, type OnnxEmbeddingOptions } from "./embeddings/llamaindex.js";
