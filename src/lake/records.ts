import type { Metric } from "../indexes/metric.js";
import type { Filter } from "./filter.js";

export type { Metric };

/**
 * What a collection indexes vectors with. `"auto"` is exact below 5,000, then `RabitqPlusIndex`, and `RabitqIvfIndex` in
 * segments of 100,000 vectors; `"RabitqIvfIndex"` uses lists in segments from 5,000. A lake in memory has no segments: there
 * the lists are made in the background, anew whenever the vectors are twice as many, which takes their memory once more.
 */
export type CollectionIndexKind = "auto" | "FlatF32Index" | "RabitqPlusIndex" | "RabitqIvfIndex";

/**
 * When an upsert or a delete counts as done: written and fsynced, or handed to the operating system, which survives the
 * end of the process but not a power cut (it is fsynced when no write came for 100 ms, with the next fsynced write, or on
 * closing).
 */
export type Durability = "fsync" | "buffered";

/** A part of a record that a reader may ask for. */
export type RecordPart = "vector" | "text" | "metadata";

/** A record on its way in. */
export interface RecordInput<Meta extends object = Record<string, unknown>> {
  /** 1 to 1,024 bytes of UTF-8; a UUID is made if it is left out. An existing record with this id is replaced. */
  id?: string | undefined;
  /** As many finite numbers as the collection has dimensions. Left out: the record can be read and filtered, but no search finds it. */
  vector?: Float32Array | readonly number[] | undefined;
  /** Stored as UTF-8; an unpaired surrogate becomes U+FFFD. */
  text?: string | undefined;
  /**
   * Any JSON object of at most 128 objects and arrays within one another; stored as `JSON.stringify` writes it and returned
   * unchanged, key order included.
   */
  metadata?: Meta | undefined;
}

/** A record as it is stored. Parts that were not asked for, or that it does not have, are absent. */
export interface StoredRecord<Meta extends object = Record<string, unknown>> {
  id: string;
  vector?: Float32Array;
  text?: string;
  metadata?: Meta;
}

/** A record found by a search. */
export interface CollectionHit<Meta extends object = Record<string, unknown>> extends StoredRecord<Meta> {
  /** Similarity, higher is better: cosine in [-1, 1]; inner product; `1 / (1 + distance)` for l2. */
  score: number;
  /** Cosine: `1 - cos`. Inner product: the negated product. L2: Euclidean, not squared. */
  distance: number;
}

/** How a collection is created or what it must be like when it exists. */
export interface CollectionOptions {
  /** 1 to 8,192. Left out: the first vector decides. */
  dimensions?: number | undefined;
  /** Default `"cosine"`. */
  metric?: Metric | undefined;
  /** Default `"auto"`. */
  index?: CollectionIndexKind | undefined;
  /**
   * Paths of metadata that segments index for filters, as filters write them (`"author.name"`, at most 16 parts), each
   * with all that is below it. Default: every path, 256 of them at most. Filters on others are right, too, but look at
   * every record. `[]` indexes none.
   */
  metadataIndex?: readonly string[] | undefined;
}

/** Options of {@link Collection.upsert}. */
export interface UpsertOptions {
  /**
   * Stops before the next batch is committed, also while an async iterable has the call wait; what is committed stays.
   * The promise rejects with the signal's reason. The iterable is told by `return()`, which a generator in the midst of an
   * `await` obeys when that ends: the call does not wait for it.
   */
  signal?: AbortSignal | undefined;
  /**
   * Told after each committed batch. An exception stops what follows, and the call rejects with it; after the last batch
   * there is nothing to stop, so it becomes a warning of the process (`RULAKE_PROGRESS`).
   */
  onProgress?: ((progress: UpsertProgress) => void) | undefined;
  /** Default `"fsync"`: the promise resolves once everything survives a power cut. */
  durability?: Durability | undefined;
}

/** How far an upsert is. */
export interface UpsertProgress {
  phase: "upsert";
  /** Records committed so far. */
  done: number;
  /** Records in all, when the input says so. */
  total: number | undefined;
}

/** What an upsert did. */
export interface UpsertResult {
  /** Ids of the records, in input order. */
  ids: string[];
  /** The state that holds them; ids of later states sort after it as strings. */
  snapshot: string;
}

/** Which records to delete: exactly one of the three. */
export type DeleteSelection<Meta extends object = Record<string, unknown>> =
  | { ids: readonly string[]; filter?: never; all?: never }
  | { filter: Filter<Meta>; ids?: never; all?: never }
  | { all: true; ids?: never; filter?: never };

/** Options of {@link Collection.delete}. */
export interface DeleteOptions {
  /** Default `"fsync"`. */
  durability?: Durability | undefined;
}

/** What a delete did. */
export interface DeleteResult {
  /** Records that existed and are gone. */
  deleted: number;
  /** The state without them. */
  snapshot: string;
}

/** Options of {@link Collection.get}. */
export interface GetOptions {
  /** Default `["text", "metadata"]`. */
  include?: readonly RecordPart[] | undefined;
}

/** Maximal marginal relevance: relevance against variety. */
export interface MmrOptions {
  /** Candidates to choose from. Default `max(20, 4 * k)`. */
  fetchK?: number | undefined;
  /** 1 = relevance only, 0 = variety only. Default 0.5. */
  lambda?: number | undefined;
}

/** Options of {@link Collection.search}. */
export interface CollectionSearchOptions<Meta extends object = Record<string, unknown>> {
  /** Records to return, at least 1. Default 10. */
  k?: number | undefined;
  /** Only records that match; applied before the best `k` are chosen. */
  filter?: Filter<Meta> | undefined;
  /** Trade relevance against variety among the answers. */
  mmr?: MmrOptions | undefined;
  /** Recall to reach on average, above 0 and at most 1; lower is faster. */
  recallTarget?: number | undefined;
  /** Leave out answers with a lower score. */
  minScore?: number | undefined;
  /** Default `["text", "metadata"]`. */
  include?: readonly RecordPart[] | undefined;
  /** Stops the search; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Options of {@link Collection.scan}. */
export interface ScanOptions<Meta extends object = Record<string, unknown>> {
  /** Only records that match. */
  filter?: Filter<Meta> | undefined;
  /** Records fetched at a time. Default 1,000. */
  chunkSize?: number | undefined;
  /** Default `["text", "metadata"]`. */
  include?: readonly RecordPart[] | undefined;
  /** Stops the scan; the iterator throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What a search looked at; `String(plan)` is made for reading. */
export interface SearchPlan {
  /** The state that was searched. */
  snapshot: string;
  /** Records there. */
  records: number;
  /** Records that satisfy the filter; all without one. */
  matching: number;
  /** Hits asked for; the candidates, with `mmr`. */
  k: number;
  /** Hits found, whatever their scores. */
  hits: number;
  /** Milliseconds it took to find the records that satisfy the filter. */
  filterMilliseconds: number;
  /** Searched one after the other, older ones first. */
  parts: SearchPlanPart[];
}

/** A segment, or records in memory. */
export interface SearchPlanPart {
  /** Id of the segment, or `memory`. */
  part: string;
  /** Records that are not deleted. */
  records: number;
  /** Records that are, and still take space. */
  deleted: number;
  /** Vectors that are not deleted. */
  vectors: number;
  /** Records that satisfy the filter; all without one. */
  matching: number;
  /** Class of the index; `null` if there is no vector. */
  index: string | null;
  /** Inverted lists of the index. */
  lists: number;
  /** Whether the search passed over the part. */
  skipped: boolean;
  /** What the search in the index did; `null` if it was passed over. */
  search: PartSearch | null;
}

/** A search in the index of one part. Counts are rows unless they say otherwise. */
export interface PartSearch {
  /** Whether every record that was allowed was compared by its vector: then the answer is exact. */
  exactScan: boolean;
  /** Inverted lists that were looked at. */
  listsProbed: number;
  /** Rows whose distance was estimated from their codes. */
  rowsScanned: number;
  /** Those of them that the error bounds of one bit a dimension ruled out. */
  rowsPruned: number;
  /** Rows whose vector was compared with that of the query. */
  rowsReranked: number;
  /** The recall aimed at. */
  recallTarget?: number;
  /** The recall to be expected on average of queries like the records; absent where it was not learned. */
  expectedRecall?: number;
  /** Milliseconds the search took. */
  milliseconds: number;
}

/** Options of {@link Collection.history}. */
export interface HistoryOptions {
  /** The newest states to list, 1 to 10,000. Default 1,000. */
  limit?: number | undefined;
}

/** A state that can be read. */
export interface HistoryEntry {
  /** For {@link Collection.at}. */
  snapshot: string;
  /** When it was committed. */
  committed: Date;
  /** Number of the generation of files that begins with it, if one does. */
  generation: number | undefined;
}

/** Sizes and counts of a collection. */
export interface CollectionStats {
  name: string;
  /** Records. */
  records: number;
  /** Records with a vector. */
  vectors: number;
  dimensions: number | undefined;
  metric: Metric;
  /** Class of the index in use now; `undefined` before the first vector. */
  index: string | undefined;
  /** The newest committed state. */
  snapshot: string;
  /** Number of the newest generation of files; 0 in memory. */
  generation: number;
  /** Segments the records are in, besides those in memory. */
  segments: number;
  /** Records in memory; on disk they are in the log. */
  memtable: number;
  /** Bytes of the log that the next open replays. */
  walBytes: number;
  /** Bytes of the files of the newest generation. */
  segmentBytes: number;
  /** Bytes of the index on the heap and mapped. */
  indexBytes: number;
}

/** Sizes and counts of a lake. */
export interface LakeStats {
  path: string | undefined;
  collections: CollectionStats[];
}

/** What {@link Collection.verify} found. */
export interface VerifyReport {
  /** No problem was found. */
  ok: boolean;
  /** Files read. */
  files: number;
  /** Bytes read. */
  bytes: number;
  /** Records checked. */
  records: number;
  problems: VerifyProblem[];
}

/** One damage. */
export interface VerifyProblem {
  /** The file, or the directory of the collection for a disagreement between files. */
  file: string;
  /** What was expected and what was found. */
  reason: string;
}
