import { inspect } from "node:util";
import type { IndexInfo, NativeIndex } from "../../native/binding.js";
import { type BatchResult, checkPlaces, readBatch } from "./batch.js";
import {
  type AddOptions,
  type CompactOptions,
  checkWatchOptions,
  type IndexKind,
  type SaveOptions,
} from "./build-options.js";
import { callNative, fromNative } from "./failure.js";
import { toFilePath } from "./file-path.js";
import { checkIdCount, countIds, type IdList, toId } from "./ids.js";
import { formatIndex, type IndexStats } from "./index-stats.js";
import { copyIdsNow, copyInput } from "./input.js";
import { runJob } from "./job.js";
import { type Hit, type Metric, toHits, toHitsInTurns } from "./metric.js";
import { NativeHandle } from "./native-handle.js";
import { readRows } from "./rows.js";
import { type SearchExplanation, toExplanation } from "./search-explanation.js";
import { type SearchOptions, toSearchParameters } from "./search-options.js";
import { checkOutput } from "./search-output.js";
import { countRows, type QueryVector, toQuery } from "./vectors.js";
import { WriteQueue } from "./write-queue.js";

/**
 * What all indexes have in common. Made by the static `build` and `load` of a class, never by `new`.
 *
 * Searches run beside changes and see the index as it was when they began. Changes run one after the other, in the
 * order of the calls. After {@link VectorIndex.close} every method fails with `CLOSED`; calls begun before are finished.
 */
export abstract class VectorIndex implements Disposable, AsyncDisposable {
  /** Class name, the same as in a saved file. */
  abstract readonly kind: IndexKind;
  /** Numbers in a vector. */
  readonly dimensions: number;
  /** How vectors are compared. */
  readonly metric: Metric;

  readonly #native: NativeHandle;
  readonly #info: IndexInfo;
  readonly #writes = new WriteQueue();
  #pairs = new Float64Array(32);

  /** @internal */
  protected constructor(handle: unknown) {
    const index = handle as NativeIndex;
    this.#native = new NativeHandle(index);
    this.#info = callNative("VectorIndex", () => index.info());
    this.dimensions = this.#info.dimensions;
    this.metric = this.#info.metric as Metric;
  }

  /**
   * The nearest rows, best first; rows at the same distance in the order they were added.
   *
   * @param query - `dimensions` finite numbers; copied before this returns
   * @param k - hits wanted, from 1; at most {@link VectorIndex.size} are returned
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_K`, `INVALID_ID` (in `filterIds`), `CLOSED`
   * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   */
  async search(query: QueryVector, k: number, options?: SearchOptions): Promise<Hit[]> {
    const where = this.#where("search");
    const index = this.#open(where);
    const parameters = toSearchParameters(k, options, where);
    const vector = toQuery(query, this.dimensions, where);
    let pairs: Float64Array;
    if (options?.filterIds === undefined && options?.signal === undefined) {
      try {
        pairs = await index.search(vector, parameters);
      } catch (error) {
        throw fromNative(error, where);
      }
    } else {
      // The filter may take several turns to copy; the query must not change meanwhile.
      const ids = options.filterIds;
      const owned = ids === undefined ? vector : vector.slice();
      pairs = await this.#native.hold(where, () =>
        runJob(
          where,
          { signal: options.signal },
          () => (ids === undefined ? undefined : copyInput({ ids, idsName: "filterIds" }, where)),
          (filter, control) => index.search(owned, parameters, filter, control),
        ),
      );
    }
    return pairs.length <= 2048
      ? toHits(pairs, pairs.length / 2, this.metric)
      : toHitsInTurns(pairs, this.metric);
  }

  /**
   * {@link VectorIndex.search} on the calling thread, without a promise: for scripts, workers, and where a search of
   * some hundred microseconds may hold up the event loop.
   */
  searchSync(query: QueryVector, k: number, options?: Omit<SearchOptions, "signal">): Hit[] {
    const where = this.#where("searchSync");
    const index = this.#open(where);
    const parameters = toSearchParameters(k, options, where);
    const vector = toQuery(query, this.dimensions, where);
    const ids = options?.filterIds;
    try {
      const wanted = 2 * Math.min(k, index.size());
      const pairs = wanted <= this.#pairs.length ? this.#pairs : new Float64Array(wanted);
      // Kept for the next search unless it is a rare large one.
      if (wanted <= 8192) this.#pairs = pairs;
      const out = pairs.length === wanted ? pairs : pairs.subarray(0, wanted);
      const filter = ids === undefined ? undefined : copyIdsNow(ids, "filterIds", where);
      return toHits(pairs, index.searchSync(vector, parameters, out, filter), this.metric);
    } catch (error) {
      throw fromNative(error, where);
    }
  }

  /**
   * Searches on the calling thread and allocates nothing in JavaScript: writes ids and raw distances of the
   * `ids.length` nearest rows into the arrays, best first.
   *
   * @param ids - takes the ids; its length is `k`
   * @param distances - takes the distances; as long as `ids`
   * @returns how many places were written; the others are left as they were
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_K` (empty arrays), `INVALID_ARGUMENT`, `CLOSED`
   */
  searchInto(query: QueryVector, ids: Float64Array, distances: Float32Array): number {
    const where = this.#where("searchInto");
    const index = this.#open(where);
    const vector = toQuery(query, this.dimensions, where);
    checkOutput(ids, distances, where);
    try {
      return index.searchInto(vector, ids, distances);
    } catch (error) {
      throw fromNative(error, where);
    }
  }

  /**
   * Searches and tells how: lists and rows that were looked at or left out, the recall to be expected, and the time each
   * step took. Takes the arguments of {@link VectorIndex.search} and throws the same.
   *
   * @example
   * ```ts
   * console.log(await index.explain(query, 10, { recallTarget: 0.95 }));
   * ```
   */
  async explain(query: QueryVector, k: number, options?: SearchOptions): Promise<SearchExplanation> {
    const where = this.#where("explain");
    return this.#native.hold(where, async (index) => {
      const parameters = toSearchParameters(k, options, where);
      const vector = toQuery(query, this.dimensions, where).slice();
      const ids = options?.filterIds;
      const report = await runJob(
        where,
        { signal: options?.signal },
        () => (ids === undefined ? undefined : copyInput({ ids, idsName: "filterIds" }, where)),
        (filter, control) => index.explain(vector, parameters, filter, control),
      );
      return toExplanation(k, report);
    });
  }

  /**
   * One search for each row of `queries`, on all threads.
   *
   * @param queries - row-major, m x dimensions; copied while this runs, so leave it alone until the promise settles
   * @throws {@link IndexError} as {@link VectorIndex.search}, and `INVALID_ARGUMENT` for more than 2^27 hits in all
   */
  async searchBatch(queries: Float32Array, k: number, options?: SearchOptions): Promise<BatchResult> {
    const where = this.#where("searchBatch");
    return this.#native.hold(where, async (index) => {
      const parameters = toSearchParameters(k, options, where);
      const rows = countRows(queries, this.dimensions, "queries", where);
      const size = callNative(where, () => index.size());
      checkPlaces(rows * Math.min(k, size), where);
      const ids = options?.filterIds;
      const hits = await runJob(
        where,
        { signal: options?.signal },
        () =>
          Promise.all([
            copyInput({ vectors: queries, dimensions: this.dimensions }, where),
            ids === undefined ? undefined : copyInput({ ids, idsName: "filterIds" }, where),
          ]),
        ([input, filter], control) => index.searchBatch(input, parameters, filter, control),
      );
      return readBatch(hits, where);
    });
  }

  /**
   * Adds rows. A row whose id exists already replaces the old one, and counts as added last. All rows or none.
   *
   * @param ids - one safe integer a row, without repeats
   * @param vectors - row-major, n x dimensions finite numbers; copied while this runs, so leave it alone until the
   * promise settles
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `ID_COUNT_MISMATCH`, `INVALID_ID`, `DUPLICATE_ID`, `CLOSED`
   */
  add(ids: IdList, vectors: Float32Array, options?: AddOptions): Promise<void> {
    const where = this.#where("add");
    return this.#change(where, async (index, turn) => {
      const watch = checkWatchOptions(options, where);
      const { dimensions } = this;
      checkIdCount(ids, countRows(vectors, dimensions, "vectors", where), where);
      await runJob(
        where,
        { ...watch, changes: true },
        async (steps) => {
          const input = await copyInput({ vectors, ids, dimensions }, where, steps);
          await turn;
          return input;
        },
        (input, control) => index.add(input, control),
      );
    });
  }

  /**
   * Removes rows.
   *
   * @param ids - those that do not exist are ignored
   * @returns how many rows there were
   * @throws {@link IndexError} `INVALID_ID`, `INVALID_ARGUMENT`, `CLOSED`
   */
  delete(ids: IdList): Promise<number> {
    const where = this.#where("delete");
    return this.#change(where, async (index, turn) => {
      countIds(ids, "ids", where);
      const input = await copyInput({ ids }, where);
      await turn;
      return runJob(
        where,
        {},
        () => input,
        () => index.delete(input),
      );
    });
  }

  /**
   * Makes the index what building it from its rows would make it, after the changes called before: nothing deleted, and
   * lists and codes for the rows as they are now. The same rows in the same order then give the same file, whatever
   * happened before. Takes as long as a build, and other calls go on meanwhile. Indexes without raw vectors keep their
   * codes and only lose deleted rows.
   *
   * Seldom needed: a `RabitqIvfIndex` keeps its lists in shape in the background. {@link VectorIndex.stats} tells.
   *
   * @throws {@link IndexError} `CORRUPT_FILE`, `CLOSED`
   */
  compact(options?: CompactOptions): Promise<void> {
    const where = this.#where("compact");
    return this.#change(where, async (index, turn) => {
      const watch = checkWatchOptions(options, where);
      await runJob(
        where,
        { ...watch, changes: true },
        () => turn,
        (_, control) => index.compact(control),
      );
    });
  }

  /**
   * The vector of a row as it was given, or `undefined` if there is no such row.
   *
   * @throws {@link IndexError} `NO_RAW_VECTORS` if this index keeps codes only, `INVALID_ID`, `CLOSED`
   */
  get(id: number): Float32Array | undefined {
    const where = this.#where("get");
    const index = this.#open(where);
    const row = toId(id, "id", where);
    const vector = new Float32Array(this.dimensions);
    return callNative(where, () => index.get(row, vector)) ? vector : undefined;
  }

  /**
   * Whether there is a row with this id.
   *
   * @throws {@link IndexError} `INVALID_ID`, `CLOSED`
   */
  has(id: number): boolean {
    const where = this.#where("has");
    const index = this.#open(where);
    const row = toId(id, "id", where);
    return callNative(where, () => index.contains(row));
  }

  /**
   * Ids and vectors in the order they were added, as they are now: later changes do not show.
   *
   * @throws {@link IndexError} `NO_RAW_VECTORS` if this index keeps codes only, `CLOSED`
   *
   * @example
   * ```ts
   * for (const [id, vector] of index) console.log(id, vector[0]);
   * ```
   */
  [Symbol.iterator](): IterableIterator<[id: number, vector: Float32Array]> {
    const where = this.#where("[Symbol.iterator]");
    const index = this.#open(where);
    return readRows(
      callNative(where, () => index.rows()),
      this.dimensions,
      where,
    );
  }

  /**
   * Writes the index to a file, after the changes called before. The file is replaced in one step: a crash leaves the
   * old one or the new one. What a process that was killed has left of it goes with the next save. A name ending in
   * `.rbpx` gets the format of the upstream Rust crates.
   *
   * @param path - its folder must exist
   * @throws {@link IndexError} `FILE_NOT_FOUND` (no such folder), `IO`, `INVALID_OPTION` (nothing rbpx can hold), `CLOSED`
   */
  save(path: string | URL, options?: SaveOptions): Promise<void> {
    const where = this.#where("save");
    return this.#change(where, async (index, turn) => {
      const watch = checkWatchOptions(options, where);
      const file = toFilePath(path, where);
      await runJob(
        where,
        { ...watch, changes: true },
        () => turn,
        (_, control) => index.save(file, control),
      );
    });
  }

  /**
   * Live rows.
   *
   * @throws {@link IndexError} `CLOSED`
   */
  get size(): number {
    const where = this.#where("size");
    const index = this.#open(where);
    return callNative(where, () => index.size());
  }

  /**
   * Bytes this index holds in memory; those mapped from its file come and go with the system's cache and are in
   * {@link VectorIndex.stats} only.
   *
   * @throws {@link IndexError} `CLOSED`
   */
  get memoryBytes(): number {
    return this.stats().heapBytes;
  }

  /** Bits a code spends on each dimension; `undefined` for an index without codes. */
  get bits(): number | undefined {
    return this.#info.bits;
  }

  /**
   * Sizes and counts.
   *
   * @throws {@link IndexError} `CLOSED`
   */
  stats(): IndexStats {
    const where = this.#where("stats");
    const index = this.#open(where);
    return callNative(where, () => index.stats());
  }

  /** Whether {@link VectorIndex.close} was called. */
  get closed(): boolean {
    return this.#native.closed;
  }

  /**
   * Ends the use of this index, and lets go of memory and file as soon as the calls begun before are done, changes that
   * wait for their turn included. Closing twice is fine.
   */
  close(): void {
    this.#native.close();
    this.#pairs = new Float64Array(0);
  }

  /** {@link VectorIndex.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Waits for the changes called before, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes.idle();
    this.close();
  }

  /** Class, rows, dimensions, metric and bytes, for people. */
  toString(): string {
    if (this.closed) return `${this.kind}(closed)`;
    return formatIndex(this.kind, this.dimensions, this.metric, this.stats());
  }

  /** What `console.log` shows. */
  [inspect.custom](): string {
    return this.toString();
  }

  #where(method: string): string {
    return `${this.kind}.${method}`;
  }

  #open(where: string): NativeIndex {
    return this.#native.open(where);
  }

  /** Runs a change when those before it are done, however soon the index is closed. */
  #change<T>(where: string, work: (index: NativeIndex, turn: Promise<unknown>) => Promise<T>): Promise<T> {
    return this.#writes.run((turn) => this.#native.hold(where, (index) => work(index, turn)));
  }
}
