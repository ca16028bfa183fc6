import type { NativeCollection } from "../../native/binding.js";
import { checkOptions, describe, invalidOption, oneOf } from "../options.js";
import type { BundleInfo } from "./bundle-info.js";
import { CollectionReader } from "./collection-reader.js";
import { toCollectionStats } from "./collection-stats.js";
import { toSelection } from "./delete-selection.js";
import { invalidArgument, lakeCall } from "./native-call.js";
import { type PublishBundleOptions, publishBundle } from "./publish-bundle.js";
import type {
  CollectionStats,
  DeleteOptions,
  DeleteResult,
  DeleteSelection,
  Durability,
  HistoryEntry,
  HistoryOptions,
  RecordInput,
  UpsertOptions,
  UpsertResult,
  VerifyReport,
} from "./records.js";
import { openSnapshot, type Snapshot } from "./snapshot.js";
import { upsertRecords } from "./upsert.js";

/**
 * Durable records with an id, a vector, a text and metadata. Made by {@link RuLake.collection}.
 *
 * Readers see whole batches or nothing of them, and never wait for writers.
 */
export class Collection<Meta extends object = Record<string, unknown>> extends CollectionReader<Meta> {
  /** @internal Only {@link RuLake.collection} makes one. */
  constructor(handle: unknown, lake: { readonly closed: boolean }) {
    super(handle as NativeCollection, lake);
  }

  /** Paths of metadata that are indexed, sorted; `undefined` for every path. */
  get metadataIndex(): readonly string[] | undefined {
    return this.ask("metadataIndex", (native) => native.metadataIndex) ?? undefined;
  }

  /**
   * Inserts records or replaces those with the same id; of several records with one id the last wins.
   *
   * An array is one atomic batch. Any other iterable is committed in atomic batches of up to 10,000 records or 32 MB,
   * so memory stays bounded; if it fails midway the batches before remain (`error.context.committed` says how many
   * records, where the error is ours). The promise resolves when everything is durable. Leave an array alone until
   * then; a record that is yielded is copied before the next is asked for. Calls under way together are committed in any
   * order: await one before the next where that matters.
   *
   * @throws {@link LakeError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `INVALID_ID`, `INVALID_RECORD`,
   * `BATCH_TOO_LARGE`, `READ_ONLY`, `WRITER_POISONED`, `WRITER_FENCED`, `CLOSED`, `IO`
   */
  async upsert(
    records: Iterable<RecordInput<Meta>> | AsyncIterable<RecordInput<Meta>>,
    options: UpsertOptions = {},
  ): Promise<UpsertResult> {
    const where = this.where("upsert");
    const handle = this.open("upsert");
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
    const where = this.where("delete");
    const handle = this.open("delete");
    checkOptions(options, ["durability"], where);
    const buffered = isBuffered(options.durability, where);
    const { ids, filter } = await toSelection(selection, where);
    const result = await lakeCall(where, undefined, () => handle.delete(ids, filter, buffered));
    return { deleted: result.affected, snapshot: result.snapshot };
  }

  /**
   * The collection as it is now, for reading, whatever is written later. It costs nothing but the memory and disk space
   * of what it keeps alive: close it.
   */
  async snapshot(): Promise<Snapshot<Meta>> {
    const handle = this.open("snapshot");
    return openSnapshot<Meta>(this.where("snapshot"), this.lake, () => handle.snapshot());
  }

  /**
   * The collection as it was after a write, for reading.
   *
   * @param snapshot - what `upsert` or `delete` returned, or {@link Collection.history} lists
   * @throws {@link LakeError} `SNAPSHOT_NOT_FOUND` if that state is not kept any more (see `retain` of
   * {@link RuLake.open}) or never was; `CORRUPT_FILE`, `CLOSED`, `IO`
   */
  async at(snapshot: string): Promise<Snapshot<Meta>> {
    const where = this.where("at");
    const handle = this.open("at");
    if (typeof snapshot !== "string") {
      throw invalidArgument(where, "snapshot", "the id of a snapshot", describe(snapshot));
    }
    return openSnapshot<Meta>(where, this.lake, () => handle.at(snapshot));
  }

  /** The states that {@link Collection.at} finds, oldest first: the newest `limit` of them. */
  async history(options: HistoryOptions = {}): Promise<HistoryEntry[]> {
    const where = this.where("history");
    const handle = this.open("history");
    checkOptions(options, ["limit"], where);
    const { limit = 1000 } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
      throw invalidOption(where, "limit", "a whole number from 1 to 10,000", limit);
    }
    const { snapshots, times, generations } = await lakeCall(where, undefined, () => handle.history(limit));
    return snapshots.map((snapshot, i) => {
      const generation = generations[i] ?? 0;
      return {
        snapshot,
        committed: new Date(times[i] ?? 0),
        generation: generation > 0 ? generation : undefined,
      };
    });
  }

  /**
   * In a lake opened with `readOnly`: takes over what the writing process has committed since. Cheap when that is
   * nothing.
   *
   * @returns whether there was anything new; always `false` in a lake open for writing, which is up to date
   * @throws {@link LakeError} `CLOSED` if the collection was dropped or replaced; `CORRUPT_FILE`, `IO`
   */
  async refresh(): Promise<boolean> {
    const handle = this.open("refresh");
    return lakeCall(this.where("refresh"), undefined, () => handle.refresh());
  }

  /** What was lost when the lake was opened with `recover`; empty if nothing was damaged. */
  get lost(): readonly string[] {
    return this.ask("lost", (native) => native.lost);
  }

  /**
   * Reads every byte on disk and compares it with its digest, and the parts with one another. Files that are missing are
   * problems, too, also those that only states of the past need.
   */
  async verify(): Promise<VerifyReport> {
    const where = this.where("verify");
    const handle = this.open("verify");
    const { files, bytes, records, paths, reasons } = await lakeCall(where, undefined, () => handle.verify());
    const problems = paths.map((file, i) => ({ file, reason: reasons[i] ?? "" }));
    return { ok: problems.length === 0, files, bytes, records, problems };
  }

  /**
   * Flushes the newest records and merges all segments into one, without what was deleted; readers and writers go on
   * meanwhile. It happens by itself, piece by piece, as a collection grows: this is for the end of a large import. In
   * memory it only makes the lists of an index that should have some.
   *
   * Merging checks all that it reads, whatever was checked before.
   *
   * @throws {@link LakeError} `CORRUPT_FILE` if a segment is damaged: nothing is merged then; `READ_ONLY`, `IO`
   */
  async compact(): Promise<void> {
    const handle = this.open("compact");
    await lakeCall(this.where("compact"), undefined, () => handle.compact());
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
    const handle = this.open("publishBundle");
    return publishBundle(handle, directory, options, this.where("publishBundle"));
  }

  /** Sizes and counts. */
  async stats(): Promise<CollectionStats> {
    const handle = this.open("stats");
    return toCollectionStats(await lakeCall(this.where("stats"), undefined, () => handle.stats()));
  }

  /** @internal */
  protected get what(): string {
    return `collection '${this.name}'`;
  }

  /** @internal */
  protected get reopening(): string {
    return "lake.collection() opens it again; close() only once nothing needs it any more.";
  }

  /** @internal */
  protected where(method: string): string {
    return `Collection.${method}()`;
  }

  /** @internal */
  protected override isGone(native: NativeCollection): boolean {
    return native.dropped;
  }
}

const durabilities: readonly Durability[] = ["fsync", "buffered"];

function isBuffered(durability: Durability | undefined, where: string): boolean {
  return oneOf(durability, durabilities, "durability", where) === "buffered";
}
