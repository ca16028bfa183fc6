import type { Filter } from "./filter.js";
import type {
  CollectionHit,
  CollectionSearchOptions,
  CollectionStats,
  DeleteOptions,
  DeleteResult,
  DeleteSelection,
  GetOptions,
  Metric,
  RecordInput,
  ScanOptions,
  StoredRecord,
  UpsertOptions,
  UpsertResult,
  VerifyReport,
} from "./records.js";

/**
 * Durable records with an id, a vector, a text and metadata. Made by {@link RuLake.collection}.
 *
 * Readers see whole batches or nothing of them, and never wait for writers.
 */
export declare class Collection<Meta extends object = Record<string, unknown>> {
  /** Only {@link RuLake.collection} makes one. */
  private constructor();

  /** Name within the lake. */
  readonly name: string;
  /** How vectors are compared. */
  get metric(): Metric;
  /** Numbers in a vector; `undefined` until the first vector decides. */
  get dimensions(): number | undefined;
  /** Records right now. */
  get size(): number;

  /**
   * Inserts records or replaces those with the same id; of several records with one id the last wins.
   *
   * An array is one atomic batch. Any other iterable is committed in atomic batches of up to 10,000 records or 32 MB,
   * so memory stays bounded; if it fails midway the batches before remain (`error.context.committed` says how many records).
   * The promise resolves when everything is durable.
   *
   * @throws {@link LakeError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_ID`, `INVALID_RECORD`, `READ_ONLY`, `CLOSED`, `IO`
   */
  upsert(
    records: Iterable<RecordInput<Meta>> | AsyncIterable<RecordInput<Meta>>,
    options?: UpsertOptions,
  ): Promise<UpsertResult>;

  /** Deletes records; ids that do not exist are ignored. */
  delete(selection: DeleteSelection<Meta>, options?: DeleteOptions): Promise<DeleteResult>;

  /** Records by id, in the order asked for; missing ones are skipped. */
  get(ids: readonly string[], options?: GetOptions): Promise<StoredRecord<Meta>[]>;

  /** Number of records, or of those that match. */
  count(filter?: Filter<Meta>): Promise<number>;

  /** The records nearest to a vector, best first; ties in order of last upsert. */
  search(
    vector: Float32Array | readonly number[],
    options?: CollectionSearchOptions<Meta>,
  ): Promise<CollectionHit<Meta>[]>;

  /** One answer a vector, in parallel. */
  searchBatch(
    vectors: readonly (Float32Array | readonly number[])[],
    options?: CollectionSearchOptions<Meta>,
  ): Promise<CollectionHit<Meta>[][]>;

  /** Every record, in order of last upsert, as of the moment the scan starts; later writes do not show. Memory stays bounded. */
  scan(options?: ScanOptions<Meta>): AsyncGenerator<StoredRecord<Meta>, void, undefined>;

  /** Reads every byte on disk and compares it with its digest, and the parts with one another. */
  verify(): Promise<VerifyReport>;

  /** Writes a checkpoint now and drops what it makes obsolete; readers and writers go on meanwhile. */
  compact(): Promise<void>;

  /** Sizes and counts. */
  stats(): Promise<CollectionStats>;

  /** Ends the use of this handle; the collection itself stays open for others. Later calls throw `CLOSED`. */
  close(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
}
