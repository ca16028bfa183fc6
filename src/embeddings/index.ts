export { ConfigError, EmbedError, RuLakeError } from "../errors.js";
export { MemoryVectorCache, type VectorCache } from "./cache.js";
export { type EmbedBatchOptions, type EmbedKind, type EmbedOptions, OnnxEmbedder } from "./embedder.js";
export type { OnnxEmbedderOptions } from "./embedder-options.js";
export type { Dtype } from "./model-folder.js";
export {
  DEFAULT_MODEL,
  type KnownModel,
  knownModels,
  type ModelFile,
  registerModel,
} from "./model-registry.js";
export { modelCacheDirectory } from "./models.js";
export type { Pooling } from "./pooling.js";
export type { Device, Truncate } from "./protocol.js";
