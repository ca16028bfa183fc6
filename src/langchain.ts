export { OnnxEmbeddings, type OnnxEmbeddingsParams } from "./embeddings/langchain.js";
