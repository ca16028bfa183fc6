import path from "node:path";
import type { CollectionParameters, NativeLake } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { metrics } from "../indexes/metric.js";
import { native } from "../native.js";
import { checkOptions, describe, invalidOption, oneOf } from "../options.js";
import { type BundleCollection, type OpenBundleOptions, openBundle } from "./bundle.js";
import { Collection } from "./collection.js";
import { toCollectionStats } from "./collection-stats.js";
import { invalidArgument, lakeCall, lakeCallNow, lakeClosed } from "./native-call.js";
import type { CollectionIndexKind, CollectionOptions, LakeStats } from "./records.js";
import { Session } from "./session.js";

/** Where a lake is: a directory, or the memory of this process. */
export type LakeLocation = string | { readonly memory: true };

/** Options of {@link RuLake.open}. */
export interface LakeOptions {
  /**
   * Open without the right to write: another process may write meanwhile. What it commits later shows after
   * {@link Collection.refresh}.
   */
  readOnly?: boolean | undefined;
  /**
   * Open damaged collections as far as they are intact: the newest generation of which every byte is as written, and the
   * log after it up to its first bad record. What is damaged is moved aside and told by {@link Collection.lost}. The
   * lake's own files are made anew. It reads everything, so say it only when opening has failed with `CORRUPT_FILE`. Not with `readOnly`.
   */
  recover?: boolean | undefined;
  /** Bytes of texts and metadata that are kept decompressed for the next reader. Default 64 MiB. */
  cacheBytes?: number | undefined;
  /** Which generations stay readable after newer ones. */
  retain?: RetainOptions | undefined;
}

/** Generations that either rule keeps stay, and the newest in any case. */
export interface RetainOptions {
  /** The newest ones, at least 1. Default 2. */
  generations?: number | undefined;
  /** Those that were the newest less than this many milliseconds ago. Default 0. */
  ms?: number | undefined;
}

const MAX_DIMENSIONS = 8192;

/**
 * A directory of {@link Collection}s. One process writes, any number read.
 *
 * Opening the same directory several times in one process gives handles on one lake; it closes with the last of them.
 *
 * @example
 * ```ts
 * await using lake = await RuLake.open("./lake");
 * const docs = await lake.collection<{ lang: string }>("docs");
 * await docs.upsert([{ id: "a", vector: [0.1, 0.2], text: "hello", metadata: { lang: "en" } }]);
 * const hits = await docs.search([0.1, 0.2], { k: 1, filter: { lang: "en" } });
 * ```
 */
export class RuLake implements AsyncDisposable {
  /** The directory; `undefined` in memory. */
  readonly path: string | undefined;
  /** Whether writing is refused. */
  readonly readOnly: boolean;

  readonly #native: NativeLake;
  readonly #state = { closed: false };

  private constructor(handle: NativeLake, readOnly: boolean) {
    this.#native = handle;
    this.path = handle.path ?? undefined;
    this.readOnly = readOnly;
  }

  /**
   * Opens a lake and creates it if the directory is missing or empty.
   *
   * @throws {@link LakeError} `LAKE_LOCKED` (another process writes; transient), `NOT_A_LAKE`, `UNSUPPORTED_FORMAT`,
   * `CORRUPT_FILE`, `FILE_NOT_FOUND` (read-only: missing, or an empty directory), `IO`
   */
  static async open(location: LakeLocation, options: LakeOptions = {}): Promise<RuLake> {
    const where = "RuLake.open()";
    checkOptions(options, ["readOnly", "recover", "cacheBytes", "retain"], where);
    const { readOnly = false, cacheBytes, retain } = options;
    if (typeof readOnly !== "boolean") throw invalidOption(where, "readOnly", "true or false", readOnly);
    const { recover = false } = options;
    if (typeof recover !== "boolean" || (recover && readOnly)) {
      const hint = recover === true ? "Recovering writes: leave readOnly out." : undefined;
      throw invalidOption(where, "recover", "true or false, and not true with readOnly", recover, hint);
    }
    checkWhole(cacheBytes, 0, where, "cacheBytes");
    checkOptions(retain, ["generations", "ms"], `${where}, retain`);
    checkWhole(retain?.generations, 1, where, "retain.generations");
    checkWhole(retain?.ms, 0, where, "retain.ms");
    const directory = toDirectory(location, where);
    if (directory === undefined && readOnly) {
      throw invalidOption(where, "readOnly", "left out for a lake in memory, which starts empty", readOnly);
    }
    const parameters = {
      readOnly,
      recover,
      cacheBytes,
      retainGenerations: retain?.generations,
      retainMilliseconds: retain?.ms,
    };
    const handle = await lakeCall(where, undefined, () => native().openLake(directory, parameters));
    return lakeCallNow(where, () => new RuLake(handle, readOnly));
  }

  /**
   * Opens what {@link Collection.publishBundle} wrote, or a bundle of upstream's crates, as a collection in memory that
   * cannot be changed. The description is compared with `expect`, then every file that is read with its digest, and
   * only then is anything read from it.
   *
   * Without `expect.witness` or `expect.publicKey` that finds accidents only: who can write the directory can also write
   * a description that fits.
   *
   * @throws {@link LakeError} `WITNESS_MISMATCH`, `SIGNATURE_MISSING`, `SIGNATURE_INVALID`, `COLLECTION_MISMATCH`,
   * `CORRUPT_FILE`, `UNSAFE_BUNDLE`, `UNSUPPORTED_FORMAT`, `CONTENT_UNVERIFIED`, `BUNDLE_TOO_LARGE`, `FILE_NOT_FOUND`,
   * `IO`
   * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   */
  static async openBundle<Meta extends object = Record<string, unknown>>(
    directory: string,
    options: OpenBundleOptions = {},
  ): Promise<BundleCollection<Meta>> {
    return openBundle<Meta>(directory, options);
  }

  /**
   * Opens a collection and creates it if it is missing.
   *
   * @throws {@link LakeError} `INVALID_NAME`, `COLLECTION_MISMATCH` (dimensions, metric, index or metadataIndex differ from
   * what is stored; {@link RuLake.replace} changes them), `COLLECTION_NOT_FOUND` (read-only), `CORRUPT_FILE`, `CLOSED`
   * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`, `INVALID_DIMENSIONS`
   */
  async collection<Meta extends object = Record<string, unknown>>(
    name: string,
    options: CollectionOptions = {},
  ): Promise<Collection<Meta>> {
    const where = "RuLake.collection()";
    const lake = this.#open(where);
    checkName(name, where);
    const parameters = toParameters(options, where);
    const handle = await lakeCall(where, undefined, () => lake.collection(name, parameters));
    return lakeCallNow(where, () => new Collection<Meta>(handle, this.#state));
  }

  /**
   * Makes a collection beside the one of its name, and puts it in that one's place when a function's promise resolves:
   * other options, other embeddings. Until then, and if the promise rejects, the old collection stays as it is, and can be
   * read and written. A crash leaves the old or the new one, each as a whole. If there is none of that name, one is made.
   *
   * Handles on the old collection throw `CLOSED` afterwards, and so does the one that the function gets; readers in other
   * processes are told so by {@link Collection.refresh}.
   *
   * @returns what the function returns
   * @throws {@link LakeError} `INVALID_NAME`, `READ_ONLY`, `CLOSED`, `IO`, and what the calls within have thrown
   * @example
   * ```ts
   * await lake.replace("docs", { metric: "l2" }, async (next) => {
   *   await next.upsert(docs.scan({ include: ["vector", "text", "metadata"] }));
   * });
   * ```
   */
  async replace<T, Meta extends object = Record<string, unknown>>(
    name: string,
    options: CollectionOptions,
    work: (next: Collection<Meta>) => Promise<T> | T,
  ): Promise<T> {
    const where = "RuLake.replace()";
    const lake = this.#open(where);
    checkName(name, where);
    if (options === undefined) {
      throw invalidOption(where, "options", "an object", options, "Say {} for the defaults.");
    }
    const parameters = toParameters(options, where);
    if (typeof work !== "function") throw invalidArgument(where, "work", "a function", describe(work));
    const handle = await lakeCall(where, undefined, () => lake.replace(name, parameters));
    const end = (commit: boolean) => lakeCall(where, undefined, () => handle.end(commit));
    let result: T;
    try {
      const next = lakeCallNow(where, () => new Collection<Meta>(handle.collection(), this.#state));
      result = await work(next);
      await next.close();
    } catch (error) {
      await end(false);
      throw error;
    }
    await end(true);
    return result;
  }

  /**
   * Runs a function whose changes of any number of collections happen together or not at all. It sees the lake as it was
   * when the session began, and its own changes. They are committed, durably, when its promise resolves, and never
   * happened when it rejects. Collections that do not exist are empty for it, and made, with default options, if it has
   * written to them when it is committed.
   *
   * @returns what the function returns
   * @throws {@link LakeError} `CONFLICT` (transient) if another writer has meanwhile changed one of the records, or
   * dropped or replaced a collection the session has written to, or asks something of afterwards: the first to commit
   * wins. Run the session again, with {@link withRetry} for instance. Also `READ_ONLY`, `CLOSED`, `IO`,
   * `WRITER_POISONED`, and what the calls within have thrown
   * @example
   * ```ts
   * await lake.session(async (s) => {
   *   await s.collection("inbox").delete({ ids: ["m1"] });
   *   await s.collection("archive").upsert([{ id: "m1", text: "moved, or still in the inbox, but never lost" }]);
   * });
   * ```
   */
  async session<T>(work: (session: Session) => Promise<T> | T): Promise<T> {
    const where = "RuLake.session()";
    const lake = this.#open(where);
    if (typeof work !== "function") throw invalidArgument(where, "work", "a function", describe(work));
    const handle = await lakeCall(where, undefined, () => lake.session());
    const session = new Session(handle, this.#state);
    let result: T;
    try {
      result = await work(session);
    } catch (error) {
      await session.end(false, where);
      throw error;
    }
    await session.end(true, where);
    return result;
  }

  /** Names of the collections, sorted. */
  async list(): Promise<string[]> {
    const where = "RuLake.list()";
    const lake = this.#open(where);
    return lakeCall(where, undefined, () => lake.list());
  }

  /**
   * Removes a collection with everything in it; `false` if there is none. Handles on it throw `CLOSED` from then on;
   * readers in other processes are told so by {@link Collection.refresh}.
   */
  async drop(name: string): Promise<boolean> {
    const where = "RuLake.drop()";
    const lake = this.#open(where);
    checkName(name, where);
    return lakeCall(where, undefined, () => lake.dropCollection(name));
  }

  /** Sizes and counts of every collection, which are opened for it. Those that are dropped meanwhile are left out. */
  async stats(): Promise<LakeStats> {
    const where = "RuLake.stats()";
    const lake = this.#open(where);
    const collections = await lakeCall(where, undefined, () => lake.stats());
    return { path: this.path, collections: collections.map(toCollectionStats) };
  }

  /** Ends the use of this handle and of its collections; everything acknowledged is durable. Closing twice is harmless. */
  async close(): Promise<void> {
    if (this.#state.closed) return;
    this.#state.closed = true;
    await lakeCall("RuLake.close()", undefined, () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(where: string): NativeLake {
    if (!this.#state.closed) return this.#native;
    throw lakeClosed(where);
  }
}

const indexKinds: readonly CollectionIndexKind[] = [
  "auto",
  "FlatF32Index",
  "RabitqPlusIndex",
  "RabitqIvfIndex",
];

/** Checks options of a collection. */
function toParameters(options: CollectionOptions, where: string): CollectionParameters {
  checkOptions(options, ["dimensions", "metric", "index", "metadataIndex"], where);
  const { dimensions, metric, index, metadataIndex } = options;
  if (
    dimensions !== undefined &&
    !(Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= MAX_DIMENSIONS)
  ) {
    throw invalidOption(where, "dimensions", `a whole number from 1 to ${MAX_DIMENSIONS}`, dimensions);
  }
  oneOf(metric, metrics, "metric", where);
  oneOf(index, indexKinds, "index", where);
  const isPath = (path: unknown) => typeof path === "string";
  if (metadataIndex !== undefined && !(Array.isArray(metadataIndex) && metadataIndex.every(isPath))) {
    throw invalidOption(where, "metadataIndex", "an array of paths", metadataIndex);
  }
  return { dimensions, metric, index, metadataIndex: metadataIndex && [...metadataIndex] };
}

function checkName(name: unknown, where: string): void {
  if (typeof name !== "string") throw invalidArgument(where, "name", "a string", describe(name));
}

function checkWhole(value: number | undefined, least: number, where: string, option: string): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
  throw invalidOption(where, option, `a whole number from ${least}`, value);
}

/** An absolute path, fixed now; `undefined` for memory. */
function toDirectory(location: unknown, where: string): string | undefined {
  if (typeof location === "object" && location !== null && "memory" in location && location.memory === true) {
    checkOptions(location, ["memory"], where);
    return undefined;
  }
  // SQLite's name for memory would become a directory of that name.
  const isPath = typeof location === "string" && !["", ":memory:"].includes(location);
  if (!isPath || location.includes("\0")) {
    const hint = location === ":memory:" ? "A lake in memory is { memory: true }." : undefined;
    throw invalidArgument(where, "location", "a directory or { memory: true }", describe(location), hint);
  }
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1];
  if (scheme !== undefined) {
    throw new LakeError(`${where}: ${scheme}:// locations are not supported; give a directory`, {
      code: "UNSUPPORTED_LOCATION",
      context: { location },
    });
  }
  return path.resolve(location);
}
