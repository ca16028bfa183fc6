import { buildNative, openNativeKind } from "./build.js";
import type { BuildOptions, LoadOptions } from "./build-options.js";
import { VectorIndex } from "./vector-index.js";

/**
 * RaBitQ codes (1 + 4 bits a dimension unless `bits` says otherwise) and raw rows: scans codes, then compares exactly
 * those rows whose error bound leaves them a chance. The default choice: exact distances at a fraction of the time.
 *
 * Gao et al., extended RaBitQ, SIGMOD 2025 (arXiv 2409.09913).
 *
 * @example
 * ```ts
 * const index = await RabitqPlusIndex.build(vectors, { dimensions: 384 });
 * const [nearest] = await index.search(query, 1);
 * await index.save("docs.rulake-index");
 * ```
 */
export class RabitqPlusIndex extends VectorIndex {
  readonly kind = "RabitqPlusIndex";

  /**
   * Builds an index.
   *
   * @param vectors - row-major, n x dimensions finite numbers, n from 0; copied while this runs, so leave it alone
   * until the promise settles
   * @throws {@link ConfigError} `INVALID_DIMENSIONS`, `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `ID_COUNT_MISMATCH`,
   * `INVALID_ID`, `DUPLICATE_ID`, `INVALID_ARGUMENT`, `OUT_OF_MEMORY`
   */
  static async build(vectors: Float32Array, options: BuildOptions): Promise<RabitqPlusIndex> {
    return RabitqPlusIndex.wrap(await buildNative("RabitqPlusIndex", vectors, options));
  }

  /**
   * Opens a saved index. Its file is mapped, not read: it must stay as it is until the index is closed, and takes no
   * heap. Answers are the same, bit for bit, on every CPU, and as before saving unless rows had changed since the build:
   * saving lays those out anew.
   *
   * @throws {@link IndexError} `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `INDEX_KIND_MISMATCH`
   */
  static async load(path: string | URL, options?: LoadOptions): Promise<RabitqPlusIndex> {
    return RabitqPlusIndex.wrap(await openNativeKind("RabitqPlusIndex", path, options));
  }

  /** @internal */
  static wrap(handle: unknown): RabitqPlusIndex {
    return new RabitqPlusIndex(handle);
  }
}
