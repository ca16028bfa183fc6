import { buildNative, openNativeKind } from "./build.js";
import type { BuildOptions, LoadOptions } from "./build-options.js";
import { VectorIndex } from "./vector-index.js";

/**
 * RaBitQ codes (1 + 4 bits a dimension unless `bits` says otherwise) scored against the query as it is, not rounded:
 * better estimates than {@link RabitqIndex} without raw rows. A `rerankFactor` above 1 keeps the rows, too, and reranks.
 *
 * @example
 * ```ts
 * const index = await RabitqAsymIndex.build(vectors, { dimensions: 384 });
 * const [nearest] = await index.search(query, 1);
 * await index.save("docs.rulake-index");
 * ```
 */
export class RabitqAsymIndex extends VectorIndex {
  readonly kind = "RabitqAsymIndex";

  /**
   * Builds an index.
   *
   * @param vectors - row-major, n x dimensions finite numbers, n from 0; copied while this runs, so leave it alone
   * until the promise settles
   * @throws {@link ConfigError} `INVALID_DIMENSIONS`, `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `ID_COUNT_MISMATCH`,
   * `INVALID_ID`, `DUPLICATE_ID`, `INVALID_ARGUMENT`, `OUT_OF_MEMORY`
   */
  static async build(vectors: Float32Array, options: BuildOptions): Promise<RabitqAsymIndex> {
    return RabitqAsymIndex.wrap(await buildNative("RabitqAsymIndex", vectors, options));
  }

  /**
   * Opens a saved index. Its file is mapped, not read: it must stay as it is until the index is closed, and takes no
   * heap. Answers are the same, bit for bit, on every CPU, and as before saving unless rows had changed since the build:
   * saving lays those out anew.
   *
   * @throws {@link IndexError} `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `INDEX_KIND_MISMATCH`
   */
  static async load(path: string | URL, options?: LoadOptions): Promise<RabitqAsymIndex> {
    return RabitqAsymIndex.wrap(await openNativeKind("RabitqAsymIndex", path, options));
  }

  /** @internal */
  static wrap(handle: unknown): RabitqAsymIndex {
    return new RabitqAsymIndex(handle);
  }
}
