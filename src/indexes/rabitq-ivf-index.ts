import { buildNative, openNativeKind } from "./build.js";
import type { LoadOptions, RabitqIvfBuildOptions } from "./build-options.js";
import { VectorIndex } from "./vector-index.js";

/**
 * {@link RabitqPlusIndex} for scale: rows are grouped around centroids, and a search visits the groups nearest to the
 * query. How many, follows from the `recallTarget` (0.97 unless given) by what was learned from the rows at building.
 *
 * Rows that are added are searchable at once, beside the groups. A thread in the background lets them join, splits groups
 * that grow, dissolves those that shrink and drops deleted rows; it takes half a core at most, and last. Distances are
 * exact. Best from some 50,000 rows on.
 *
 * @example
 * ```ts
 * const index = await RabitqIvfIndex.build(vectors, { dimensions: 384 });
 * const hits = await index.search(query, 10, { recallTarget: 0.99 });
 * ```
 */
export class RabitqIvfIndex extends VectorIndex {
  readonly kind = "RabitqIvfIndex";

  /**
   * Builds an index.
   *
   * @param vectors - row-major, n x dimensions finite numbers, n from 0; copied while this runs, so leave it alone
   * until the promise settles
   * @throws {@link ConfigError} `INVALID_DIMENSIONS`, `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `ID_COUNT_MISMATCH`,
   * `INVALID_ID`, `DUPLICATE_ID`, `INVALID_ARGUMENT`, `OUT_OF_MEMORY`
   */
  static async build(vectors: Float32Array, options: RabitqIvfBuildOptions): Promise<RabitqIvfIndex> {
    return RabitqIvfIndex.wrap(await buildNative("RabitqIvfIndex", vectors, options));
  }

  /**
   * Opens a saved index. Its file is mapped, not read: it must stay as it is until the index is closed, and takes no
   * heap. Answers are the same, bit for bit, on every CPU, and as before saving unless rows had changed since the build:
   * saving lays those out anew.
   *
   * @throws {@link IndexError} `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `INDEX_KIND_MISMATCH`
   */
  static async load(path: string | URL, options?: LoadOptions): Promise<RabitqIvfIndex> {
    return RabitqIvfIndex.wrap(await openNativeKind("RabitqIvfIndex", path, options));
  }

  /** @internal */
  static wrap(handle: unknown): RabitqIvfIndex {
    return new RabitqIvfIndex(handle);
  }
}
