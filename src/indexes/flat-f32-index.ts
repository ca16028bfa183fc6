import { buildNative, openNativeKind } from "./build.js";
import type { BuildOptions, LoadOptions } from "./build-options.js";
import { VectorIndex } from "./vector-index.js";

/** How a flat index is built: there are no codes to configure. */
export type FlatF32BuildOptions = Omit<BuildOptions, "bits" | "rerankFactor">;

/**
 * Raw `f32` rows; every search compares all of them, exactly. The reference for the others, and the best choice up to
 * some ten thousand rows. `4 * dimensions` bytes a row.
 *
 * @example
 * ```ts
 * const index = await FlatF32Index.build(new Float32Array([1, 0, 0, 1]), { dimensions: 2 });
 * const [nearest] = await index.search(query, 1);
 * await index.save("docs.rulake-index");
 * ```
 */
export class FlatF32Index extends VectorIndex {
  readonly kind = "FlatF32Index";

  /**
   * Builds an index.
   *
   * @param vectors - row-major, n x dimensions finite numbers, n from 0; copied while this runs, so leave it alone
   * until the promise settles
   * @throws {@link ConfigError} `INVALID_DIMENSIONS`, `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @throws {@link IndexError} `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `ID_COUNT_MISMATCH`,
   * `INVALID_ID`, `DUPLICATE_ID`, `INVALID_ARGUMENT`, `OUT_OF_MEMORY`
   */
  static async build(vectors: Float32Array, options: FlatF32BuildOptions): Promise<FlatF32Index> {
    return FlatF32Index.wrap(await buildNative("FlatF32Index", vectors, options));
  }

  /**
   * Opens a saved index. Its file is mapped, not read: it must stay as it is until the index is closed, and takes no
   * heap. Answers are the same, bit for bit, as before saving, on every CPU.
   *
   * @throws {@link IndexError} `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `INDEX_KIND_MISMATCH`
   */
  static async load(path: string | URL, options?: LoadOptions): Promise<FlatF32Index> {
    return FlatF32Index.wrap(await openNativeKind("FlatF32Index", path, options));
  }

  /** @internal */
  static wrap(handle: unknown): FlatF32Index {
    return new FlatF32Index(handle);
  }
}
