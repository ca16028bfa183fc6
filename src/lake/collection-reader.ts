import type { NativeCollection } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { checkOptions, describe, invalidOption } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { type ArrowBatch, readBatch } from "./arrow.js";
import { searchVector, searchVectors, toCollectionSearch } from "./collection-search.js";
import { explainSearch } from "./explain.js";
import type { Filter } from "./filter.js";
import { toFilterJson } from "./filter-json.js";
import { copyIds } from "./ids.js";
import { invalidArgument, lakeCall, lakeCallNow, lakeClosed } from "./native-call.js";
import { type Include, readRecords, SCAN_BYTES, toInclude } from "./record-reader.js";
import type {
  CollectionHit,
  CollectionSearchOptions,
  GetOptions,
  Metric,
  ScanOptions,
  SearchPlan,
  StoredRecord,
} from "./records.js";
import { checkDimensions, toVector, type VectorInput } from "./vector.js";

/** What can be read of a collection: by a {@link Collection}, as it is now, or by a {@link Snapshot}, as it was. */
export abstract class CollectionReader<Meta extends object = Record<string, unknown>>
  implements AsyncDisposable
{
  /** Name within the lake. */
  readonly name: string;
  /** How vectors are compared. */
  readonly metric: Metric;

  readonly #native: NativeCollection;
  readonly #lake: { readonly closed: boolean };
  #closed = false;
  /** As far as the last search has asked for it. */
  #dimensions: number | undefined;

  /** @internal */
  constructor(native: NativeCollection, lake: { readonly closed: boolean }) {
    this.#native = native;
    this.#lake = lake;
    this.name = native.name;
    this.metric = native.metric as Metric;
  }

  /** @internal What is closed, as an error calls it. */
  protected abstract get what(): string;
  /** @internal How to get another one. */
  protected abstract get reopening(): string;
  /** @internal A call as users write it. */
  protected abstract where(method: string): string;

  /** @internal Whether what the handle stands for is no more. */
  protected isGone(_native: NativeCollection): boolean {
    return false;
  }

  /** @internal The native handle, unless it or the lake is closed. */
  protected open(method: string): NativeCollection {
    this.#checkOpen(method, this.#closed);
    if (!lakeCallNow(this.where(method), () => this.isGone(this.#native))) return this.#native;
    throw new LakeError(`${this.where(method)}: the ${this.what} was dropped or replaced`, {
      code: "CLOSED",
      context: { collection: this.name },
      hint: "lake.collection() opens what has its name now; lake.list() tells whether there is one.",
    });
  }

  /** @internal A fact of the native handle. */
  protected ask<T>(property: string, fact: (native: NativeCollection) => T): T {
    const native = this.open(property);
    return lakeCallNow(this.where(property), () => fact(native));
  }

  #checkOpen(method: string, closed: boolean): void {
    if (closed) {
      throw new LakeError(`${this.where(method)}: the ${this.what} is closed`, {
        code: "CLOSED",
        hint: this.reopening,
      });
    }
    if (this.#lake.closed) throw lakeClosed(this.where(method));
  }

  /** @internal */
  protected get lake(): { readonly closed: boolean } {
    return this.#lake;
  }

  /** Ends the use of this handle; others of the same collection stay open. Later calls throw `CLOSED`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    lakeCallNow(this.where("close"), () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Numbers in a vector; `undefined` until the first vector decides. */
  get dimensions(): number | undefined {
    return this.ask("dimensions", (native) => native.dimensions) ?? undefined;
  }

  /** Records. */
  get size(): number {
    return this.ask("size", (native) => native.size);
  }

  /** Records by id, in the order asked for; missing ones are skipped. */
  async get(ids: readonly string[], options: GetOptions = {}): Promise<StoredRecord<Meta>[]> {
    const where = this.where("get");
    const handle = this.open("get");
    checkOptions(options, ["include"], where);
    const include = toInclude(options.include, where);
    const list = await copyIds(ids, where);
    return readRecords(await lakeCall(where, undefined, () => handle.get(list, include)), where);
  }

  /** Number of records, or of those that match. */
  async count(filter?: Filter<Meta>): Promise<number> {
    const where = this.where("count");
    const handle = this.open("count");
    const json = await toFilterJson(filter, where);
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
    const where = this.where("search");
    this.#checkOpen("search", this.#closed);
    const query = toVector(vector, "vector", where);
    if (query.length !== this.#dimensions) {
      this.#dimensions = this.dimensions;
      checkDimensions(query, this.#dimensions, "vector", where);
    }
    const search = toCollectionSearch(options, where);
    if (!(search instanceof Promise)) {
      return searchVector<Meta>(this.#native, query, search, this.metric, where);
    }
    // The vector must not change while the filter is converted.
    const own = query.slice();
    return searchVector<Meta>(this.#native, own, await search, this.metric, where);
  }

  /** {@link Collection.search} for several vectors, in parallel: one answer each, in their order. */
  async searchBatch(
    vectors: readonly VectorInput[],
    options: CollectionSearchOptions<Meta> = {},
  ): Promise<CollectionHit<Meta>[][]> {
    const where = this.where("searchBatch");
    const handle = this.open("searchBatch");
    if (!Array.isArray(vectors)) throw invalidArgument(where, "vectors", "an array", describe(vectors));
    const checked = toCollectionSearch(options, where);
    const search = checked instanceof Promise ? await checked : checked;
    const queries: Float32Array[] = [];
    for (const [i, vector] of vectors.entries()) {
      if (isTurnOver()) await nextTurn();
      queries.push(toVector(vector, `vectors[${i}]`, where));
    }
    return searchVectors<Meta>(handle, queries, search, where);
  }

  /**
   * Every record, in order of last upsert, as of the moment the scan starts; later writes do not show. Memory stays
   * bounded however large the collection is.
   */
  async *scan(options: ScanOptions<Meta> = {}): AsyncGenerator<StoredRecord<Meta>, void, undefined> {
    const where = this.where("scan");
    const handle = this.open("scan");
    const { chunkSize, filter, include, signal } = await toScan(options, where);
    const scan = await lakeCall(where, signal, () => handle.scan(filter, include));
    try {
      for (;;) {
        const found = await lakeCall(where, signal, (control) => scan.next(chunkSize, SCAN_BYTES, control));
        if (found === null) return;
        for (const record of await readRecords<Meta>(found, where)) {
          yield record;
          signal?.throwIfAborted();
          this.open("scan");
        }
      }
    } finally {
      lakeCallNow(where, () => scan.close());
    }
  }

  /**
   * Every record as Arrow record batches of `chunkSize` rows: columns `id`, `text`, `metadata` (JSON) and, if asked for,
   * `vector` (a fixed-size list of float32). Needs the package `apache-arrow`; a batch is its `RecordBatch`. The next
   * batch is made when it is asked for, so memory stays bounded.
   *
   * @example
   * ```ts
   * import type { RecordBatch } from "apache-arrow";
   * for await (const batch of docs.scanBatches<RecordBatch>({ include: ["vector"] })) console.log(batch.numRows);
   * ```
   * @throws {@link LakeError} `ARROW_NOT_FOUND` if `apache-arrow` is not installed; `INVALID_FILTER`, `CLOSED`
   */
  async *scanBatches<Batch extends ArrowBatch = ArrowBatch>(
    options: ScanOptions<Meta> = {},
  ): AsyncGenerator<Batch, void, undefined> {
    const where = this.where("scanBatches");
    const handle = this.open("scanBatches");
    const { chunkSize, filter, include, signal } = await toScan(options, where);
    const scan = await lakeCall(where, signal, () => handle.scan(filter, include));
    try {
      for (;;) {
        const bytes = await lakeCall(where, signal, (control) =>
          scan.nextArrow(chunkSize, SCAN_BYTES, control),
        );
        if (bytes === null) return;
        yield (await readBatch(bytes, where)) as Batch;
        signal?.throwIfAborted();
        this.open("scanBatches");
      }
    } finally {
      lakeCallNow(where, () => scan.close());
    }
  }

  /**
   * Searches, and tells what the search did: segments and how many of their records match, and for the index of each the
   * lists probed, rows scanned, ruled out and compared. Takes the arguments of {@link Collection.search} and throws the
   * same. Print it as it is.
   *
   * @example
   * ```ts
   * console.log(String(await docs.explain(vector, { k: 10, filter: { lang: "en" } })));
   * ```
   */
  async explain(vector: VectorInput, options: CollectionSearchOptions<Meta> = {}): Promise<SearchPlan> {
    const where = this.where("explain");
    const handle = this.open("explain");
    const query = toVector(vector, "vector", where);
    const search = toCollectionSearch(options, where);
    if (!(search instanceof Promise)) return explainSearch(handle, query, search, where);
    const own = query.slice();
    return explainSearch(handle, own, await search, where);
  }
}

interface Scan {
  chunkSize: number;
  filter: string | undefined;
  include: Include;
  signal: AbortSignal | undefined;
}

async function toScan<Meta extends object>(options: ScanOptions<Meta>, where: string): Promise<Scan> {
  checkOptions(options, ["filter", "chunkSize", "include", "signal"], where);
  const { chunkSize = 1000, signal } = options;
  if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > 1_000_000) {
    throw invalidOption(where, "chunkSize", "a whole number from 1 to 1,000,000", chunkSize);
  }
  const include = toInclude(options.include, where);
  return { chunkSize, filter: await toFilterJson(options.filter, where), include, signal };
}
