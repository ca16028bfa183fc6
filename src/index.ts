export {
  A2AError,
  ConfigError,
  EmbedError,
  type ErrorCategory,
  IndexError,
  LakeError,
  RuLakeError,
  type RuLakeErrorInit,
} from "./errors.js";
export type { BatchResult } from "./indexes/batch.js";
export type {
  AddOptions,
  BuildOptions,
  CompactOptions,
  IndexKind,
  LoadOptions,
  RabitqIvfBuildOptions,
  SaveOptions,
} from "./indexes/build-options.js";
export { type CpuFeatures, cpuFeatures } from "./indexes/cpu-features.js";
export { type FlatF32BuildOptions, FlatF32Index } from "./indexes/flat-f32-index.js";
export type { IdFilter, IdList } from "./indexes/ids.js";
export type { IndexStats } from "./indexes/index-stats.js";
export type { JobOptions } from "./indexes/job.js";
export { loadIndex } from "./indexes/load-index.js";
export type { Hit, Metric } from "./indexes/metric.js";
export type { Progress } from "./indexes/progress.js";
export { RabitqAsymIndex } from "./indexes/rabitq-asym-index.js";
export { type RabitqBuildOptions, RabitqIndex } from "./indexes/rabitq-index.js";
export { RabitqIvfIndex } from "./indexes/rabitq-ivf-index.js";
export { RabitqPlusIndex } from "./indexes/rabitq-plus-index.js";
export { type IndexName, type Recommendation, recommend } from "./indexes/recommend.js";
export type { SearchExplanation } from "./indexes/search-explanation.js";
export type { SearchOptions } from "./indexes/search-options.js";
export { VectorIndex } from "./indexes/vector-index.js";
export type { QueryVector } from "./indexes/vectors.js";
export type { ArrowBatch } from "./lake/arrow.js";
export { BundleCollection, type BundleExpectation, type OpenBundleOptions } from "./lake/bundle.js";
export type { BundleFile, BundleInfo } from "./lake/bundle-info.js";
export type { BundlePublicKey, BundleSigningKey } from "./lake/bundle-key.js";
export { Collection } from "./lake/collection.js";
export type { CollectionReader } from "./lake/collection-reader.js";
export type { FieldCondition, FieldOperators, FieldPath, Filter } from "./lake/filter.js";
export { type LakeLocation, type LakeOptions, type RetainOptions, RuLake } from "./lake/lake.js";
export { maximalMarginalRelevance } from "./lake/mmr.js";
export type { PublishBundleOptions } from "./lake/publish-bundle.js";
export type {
  CollectionHit,
  CollectionIndexKind,
  CollectionOptions,
  CollectionSearchOptions,
  CollectionStats,
  DeleteOptions,
  DeleteResult,
  DeleteSelection,
  Durability,
  GetOptions,
  HistoryEntry,
  HistoryOptions,
  LakeStats,
  MmrOptions,
  PartSearch,
  RecordInput,
  RecordPart,
  ScanOptions,
  SearchPlan,
  SearchPlanPart,
  StoredRecord,
  UpsertOptions,
  UpsertProgress,
  UpsertResult,
  VerifyProblem,
  VerifyReport,
} from "./lake/records.js";
export type { Session, SessionCollection } from "./lake/session.js";
export type { Snapshot } from "./lake/snapshot.js";
export { type RetryPolicy, withRetry } from "./retry.js";
