import type { Collection } from "./collection.js";
import type { CollectionOptions, LakeStats } from "./records.js";

/** Where a lake is: a directory, or the memory of this process. */
export type LakeLocation = string | { readonly memory: true };

/** Options of {@link RuLake.open}. */
export interface LakeOptions {
  /** Open without the right to write: other processes may write meanwhile, and what they commit later does not show. */
  readOnly?: boolean | undefined;
}

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
export declare class RuLake {
  /** Only {@link RuLake.open} makes one. */
  private constructor();

  /**
   * Opens a lake and creates it if the directory is missing or empty.
   *
   * @throws {@link LakeError} `LAKE_LOCKED` (another process writes; transient), `NOT_A_LAKE`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `IO`
   */
  static open(location: LakeLocation, options?: LakeOptions): Promise<RuLake>;

  /** The directory; `undefined` in memory. */
  readonly path: string | undefined;
  /** Whether writing is refused. */
  readonly readOnly: boolean;

  /**
   * Opens a collection and creates it if it is missing.
   *
   * @throws {@link LakeError} `INVALID_NAME`, `COLLECTION_MISMATCH` (dimensions, metric or index differ from what is stored),
   * `COLLECTION_NOT_FOUND` (read-only), `CORRUPT_FILE`
   */
  collection<Meta extends object = Record<string, unknown>>(
    name: string,
    options?: CollectionOptions,
  ): Promise<Collection<Meta>>;

  /** Names of the collections, sorted. */
  list(): Promise<string[]>;

  /** Removes a collection with everything in it; `false` if there is none. Handles on it throw `CLOSED` from then on. */
  drop(name: string): Promise<boolean>;

  /** Sizes and counts of every collection. */
  stats(): Promise<LakeStats>;

  /** Ends the use of this handle and of its collections; everything acknowledged is durable. Closing twice is harmless. */
  close(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
}
