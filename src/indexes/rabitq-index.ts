import { buildNative, openNativeKind } from "./build.js";
import type { BuildOptions, LoadOptions } from "./build-options.js";
import { VectorIndex } from "./vector-index.js";

/** How a code-only index is built: there is nothing to rerank with. */
export type RabitqBuildOptions = Omit<BuildOptions, "rerankFactor">;

/**
 * RaBitQ codes only (1 bit a dimension unless `bits` says more): the smallest index, and an approximate one, whose
 * distances are estimates. It keeps no vectors, so `get` and iteration fail with `NO_RAW_VECTORS`.
 *
 * Gao & Long, "RaBitQ", SIGMOD 2024 (arXiv 2405.12497).
 *
 * @example
 * ```ts
 * const index = await RabitqIndex.build(vectors, { dimensions: 384 });
 * const [nearest] = await index.search(query, 1);
 * await index.save("docs.rulake-index");
 * ```
 */
export class RabitqIndex extends VectorIndex {
  readonly kind = "RabitqIndex";

  /**
   * Builds an index.
   *
   * @param vectors - row-major, n x dimensions finite numbers, n from 0; copied while this runs, so leave it alone
   * until the promise settles
   * @throws {@link ConfigError} `INVALID_DIMENSIONS`, `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `ID_COUNT_MISMATCH`,
   * `INVALID_ID`, `DUPLICATE_ID`, `INVALID_ARGUMENT`, `OUT_OF_MEMORY`
   */
  static async build(vectors: Float32Array, options: RabitqBuildOptions): Promise<RabitqIndex> {
    return RabitqIndex.wrap(await buildNative("RabitqIndex", vectors, options));
  }

  /**
   * Opens a saved index. Its file is mapped, not read: it must stay as it is until the index is closed, and takes no
   * heap. Answers are the same, bit for bit, on every CPU, and as before saving unless rows had changed since the build:
   * saving lays those out anew.
   *
   * @throws {@link IndexError} `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `INDEX_KIND_MISMATCH`
   */
  static async load(path: string | URL, options?: LoadOptions): Promise<RabitqIndex> {
    return RabitqIndex.wrap(await openNativeKind("RabitqIndex", path, options));
  }

  /** @internal */
  static wrap(handle: unknown): RabitqIndex {
    return new RabitqIndex(handle);
  }
}
