import type { IdBatch, NativeCollection } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { native } from "../native.js";
import { checkOptions, describe, invalidOption, oneOf } from "../options.js";
import { nextTurn } from "../turns.js";
import type { BundleInfo } from "./bundle-info.js";
import { type CollectionSearch, searchVectors, toCollectionSearch } from "./collection-search.js";
import type { Filter } from "./filter.js";
import { toFilterJson } from "./filter-json.js";
import { invalidArgument, lakeCall } from "./native-call.js";
import { type PublishBundleOptions, publishBundle } from "./publish-bundle.js";
import { readRecords, SCAN_BYTES, toInclude } from "./record-reader.js";
import type {
  CollectionHit,
  CollectionSearchOptions,
  CollectionStats,
  DeleteOptions,
  DeleteResult,
  DeleteSelection,
  Durability,
  GetOptions,
  Metric,
  RecordInput,
  ScanOptions,
  StoredRecord,
  UpsertOptions,
  UpsertResult,
  VerifyReport,
} from "./records.js";
import { upsertRecords } from "./upsert.js";
import { toVector, type VectorInput } from "./vector.js";

/** Ids handed to the native side in one turn of the event loop. */
const ID_PIECE = 4096;

/**
 * Durable records with an id, a vector, a text and metadata. Made by {@link RuLake.collection}.
 *
 * Readers see whole batches or nothing of them, and never wait for writers.
 */
export class Collection<Meta extends object = Record<string, unknown>> implements AsyncDisposable {
  /** Name within the lake. */
  readonly name: string;
  /** How vectors are compared. */
  readonly metric: Metric;

  readonly #native: NativeCollection;
  readonly #lake: { readonly closed: boolean };
  #closed = false;

  /** @internal Only {@link RuLake.collection} makes one. */
  constructor(handle: unknown, lake: { readonly closed: boolean }) {
    this.#native = handle as NativeCollection;
    this.#lake = lake;
    this.name = this.#native.name;
    this.metric = this.#native.metric as Metric;
  }

  /** Numbers in a vector; `undefined` until the first vector decides. */
  get dimensions(): number | undefined {
    return this.#open("dimensions").dimensions ?? undefined;
  }

  /** Records right now. */
  get size(): number {
    return this.#open("size").size;
  }

  /**
   * Inserts records or replaces those with the same id; of several records with one id the last wins.
   *
   * An array is one atomic batch. Any other iterable is committed in atomic batches of up to 10,000 records or 32 MB,
   * so memory stays bounded; if it fails midway the batches before remain (`error.context.committed` says how many
   * records, where the error is ours). The promise resolves when everything is durable. Leave an array alone until
   * then; a record that is yielded is copied before the next is asked for.
   *
   * @throws {@link LakeError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `INVALID_ID`, `INVALID_RECORD`,
   * `BATCH_TOO_LARGE`, `READ_ONLY`, `WRITER_POISONED`, `CLOSED`, `IO`
   */
  async upsert(
    records: Iterable<RecordInput<Meta>> | AsyncIterable<RecordInput<Meta>>,
    options: UpsertOptions = {},
  ): Promise<UpsertResult> {
    const where = this.#where("upsert");
    const handle = this.#open("upsert");
    checkOptions(options, ["signal", "onProgress", "durability"], where);
    const buffered = isBuffered(options.durability, where);
    return upsertRecords(where, records, options, (batch) =>
      lakeCall(where, undefined, () => handle.upsert(batch, buffered)),
    );
  }

  /**
   * Deletes records; ids that do not exist are ignored.
   *
   * @throws {@link LakeError} `INVALID_FILTER` (an empty filter too: say `{ all: true }`), `READ_ONLY`, `CLOSED`, `IO`
   * @throws {@link ConfigError} `INVALID_OPTION` unless exactly one of `ids`, `filter` and `all` is given
   */
  async delete(selection: DeleteSelection<Meta>, options: DeleteOptions = {}): Promise<DeleteResult> {
    const where = this.#where("delete");
    const handle = this.#open("delete");
    checkOptions(options, ["durability"], where);
    const buffered = isBuffered(options.durability, where);
    checkOptions(selection ?? null, ["ids", "filter", "all"], where);
    const { ids, filter, all } = selection;
    const given = [ids, filter, all].filter((choice) => choice !== undefined).length;
    if (given !== 1 || (all !== undefined && all !== true)) {
      throw invalidOption(where, "selection", "one of { ids }, { filter } and { all: true }", selection);
    }
    const json = toFilterJson(filter, where);
    if (json === "{}") {
      throw new LakeError(`${where}: invalid filter: an empty filter would delete everything`, {
        code: "INVALID_FILTER",
        hint: "Say { all: true } if that is meant.",
      });
    }
    const list = ids === undefined ? undefined : await copyIds(ids, where);
    const result = await lakeCall(where, undefined, () => handle.delete(list, json, buffered));
    return { deleted: result.affected, snapshot: result.snapshot };
  }

  /** Records by id, in the order asked for; missing ones are skipped. */
  async get(ids: readonly string[], options: GetOptions = {}): Promise<StoredRecord<Meta>[]> {
    const where = this.#where("get");
    const handle = this.#open("get");
    checkOptions(options, ["include"], where);
    const include = toInclude(options.include, where);
    const list = await copyIds(ids, where);
    return readRecords(await lakeCall(where, undefined, () => handle.get(list, include)));
  }

  /** Number of records, or of those that match. */
  async count(filter?: Filter<Meta>): Promise<number> {
    const where = this.#where("count");
    const handle = this.#open("count");
    const json = toFilterJson(filter, where);
    return lakeCall(where, undefined, () => handle.count(json));
  }

  /**
   * The records nearest to a vector, best first; ties in order of last upsert.
   *
   * @throws {@link LakeError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_K`, `INVALID_FILTER`, `CLOSED`
   * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   */
  async search(
    vector: VectorInput,
    options: CollectionSearchOptions<Meta> = {},
  ): Promise<CollectionHit<Meta>[]> {
    const where = this.#where("search");
    const handle = this.#open("search");
    const search = toCollectionSearch(options, where);
    const query = toVector(vector, "vector", where);
    const [hits = []] = await this.#search(handle, [query], search, where);
    return hits;
  }

  /** {@link Collection.search} for several vectors, in parallel: one answer each, in their order. */
  async searchBatch(
    vectors: readonly VectorInput[],
    options: CollectionSearchOptions<Meta> = {},
  ): Promise<CollectionHit<Meta>[][]> {
    const where = this.#where("searchBatch");
    const handle = this.#open("searchBatch");
    const search = toCollectionSearch(options, where);
    if (!Array.isArray(vectors)) throw invalidArgument(where, "vectors", "an array", describe(vectors));
    const queries = vectors.map((vector, i) => toVector(vector, `vectors[${i}]`, where));
    return this.#search(handle, queries, search, where);
  }

  #search(
    handle: NativeCollection,
    queries: Float32Array[],
    search: CollectionSearch,
    where: string,
  ): Promise<CollectionHit<Meta>[][]> {
    return searchVectors<Meta>(handle, queries, search, where);
  }

  /**
   * Every record, in order of last upsert, as of the moment the scan starts; later writes do not show. Memory stays
   * bounded however large the collection is.
   */
  async *scan(options: ScanOptions<Meta> = {}): AsyncGenerator<StoredRecord<Meta>, void, undefined> {
    const where = this.#where("scan");
    const handle = this.#open("scan");
    checkOptions(options, ["filter", "chunkSize", "include", "signal"], where);
    const { chunkSize = 1000, signal } = options;
    if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > 1_000_000) {
      throw invalidOption(where, "chunkSize", "a whole number from 1 to 1,000,000", chunkSize);
    }
    const include = toInclude(options.include, where);
    const filter = toFilterJson(options.filter, where);
    const scan = await lakeCall(where, signal, () => handle.scan(filter, include));
    try {
      for (;;) {
        const found = await lakeCall(where, signal, (control) => scan.next(chunkSize, SCAN_BYTES, control));
        if (found.length === 0) return;
        for (const record of await readRecords<Meta>(found)) {
          yield record;
          signal?.throwIfAborted();
          this.#open("scan");
        }
      }
    } finally {
      scan.close();
    }
  }

  /** Reads every byte on disk and compares it with its digest, and the parts with one another. */
  async verify(): Promise<VerifyReport> {
    const where = this.#where("verify");
    const handle = this.#open("verify");
    const { files, bytes, records, paths, reasons } = await lakeCall(where, undefined, () => handle.verify());
    const problems = paths.map((file, i) => ({ file, reason: reasons[i] ?? "" }));
    return { ok: problems.length === 0, files, bytes, records, problems };
  }

  /** Writes a checkpoint now and drops what it makes obsolete; readers and writers go on meanwhile. */
  async compact(): Promise<void> {
    const handle = this.#open("compact");
    await lakeCall(this.#where("compact"), undefined, () => handle.compact());
  }

  /**
   * Writes the present state into a directory, for others to check and open with {@link RuLake.openBundle}, and for
   * upstream's crates: `table.rulake.json`, vectors as `ruvec1` and `rbpx`, ids, texts and metadata as JSON lines. What
   * readers of the directory see changes as a whole; a bundle that was there is replaced. Memory stays bounded.
   *
   * @returns what the bundle says of itself; tell its `witness` to those who shall trust it, or sign it
   * @throws {@link LakeError} `BUNDLE_LOCKED` (another publication into the directory is under way; transient), `IO`,
   * `CLOSED`
   * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   */
  async publishBundle(directory: string, options: PublishBundleOptions = {}): Promise<BundleInfo> {
    const handle = this.#open("publishBundle");
    return publishBundle(handle, directory, options, this.#where("publishBundle"));
  }

  /** Sizes and counts. */
  async stats(): Promise<CollectionStats> {
    const handle = this.#open("stats");
    const stats = await lakeCall(this.#where("stats"), undefined, () => handle.stats());
    return {
      ...stats,
      dimensions: stats.dimensions ?? undefined,
      index: stats.index ?? undefined,
      metric: this.metric,
    };
  }

  /** Ends the use of this handle; the collection stays open for others. Later calls throw `CLOSED`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #where(method: string): string {
    return `Collection.${method}()`;
  }

  #open(method: string): NativeCollection {
    if (!this.#closed && !this.#lake.closed) return this.#native;
    const what = this.#closed ? `collection '${this.name}'` : "lake";
    throw new LakeError(`${this.#where(method)}: the ${what} is closed`, { code: "CLOSED" });
  }
}

const durabilities: readonly Durability[] = ["fsync", "buffered"];

function isBuffered(durability: Durability | undefined, where: string): boolean {
  return oneOf(durability, durabilities, "durability", where) === "buffered";
}

async function copyIds(ids: readonly string[], where: string): Promise<IdBatch> {
  if (!Array.isArray(ids)) throw invalidArgument(where, "ids", "an array of strings", describe(ids));
  const batch = new (native().IdBatch)();
  for (let start = 0; start < ids.length; start += ID_PIECE) {
    if (start > 0) await nextTurn();
    const piece: unknown[] = ids.slice(start, start + ID_PIECE);
    const wrong = piece.findIndex((id) => typeof id !== "string");
    if (wrong >= 0) {
      throw invalidArgument(where, `ids[${start + wrong}]`, "a string", describe(piece[wrong]));
    }
    batch.push(piece as string[]);
  }
  return batch;
}
