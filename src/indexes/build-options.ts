import type { IndexParameters } from "../../native/binding.js";
import { ConfigError } from "../errors.js";
import { checkOptions, checkSignal, describe, invalidOption, oneOf } from "../options.js";
import type { IdList } from "./ids.js";
import type { JobOptions } from "./job.js";
import { type Metric, metrics } from "./metric.js";

/** Class name of an index. */
export type IndexKind =
  | "FlatF32Index"
  | "RabitqIndex"
  | "RabitqPlusIndex"
  | "RabitqAsymIndex"
  | "RabitqIvfIndex";

/** How an index is built. The same vectors, options and seed give the same file on every machine. */
export interface BuildOptions extends JobOptions {
  /** Numbers in a vector, 1 to 8192. */
  dimensions: number;
  /** How vectors are compared. Default `cosine`. */
  metric?: Metric | undefined;
  /** Ids of the rows, safe integers without repeats. Default 0, 1, 2, … */
  ids?: IdList | undefined;
  /** Seed of the random rotation. Default 42. */
  seed?: number | undefined;
  /** Caps exact comparisons of a search at this multiple of `k`, 1 to 1024. Default: as many as the error bounds ask for. */
  rerankFactor?: number | undefined;
  /** Bits a code spends on each dimension. More bits, better order before reranking. */
  bits?: 1 | 5 | 8 | undefined;
  /**
   * How raw vectors are kept by an index that keeps them. `f16` takes half the space: each vector is rounded to 11
   * significant bits of its largest component. `get` returns the rounded vector, and distances are exact to that one.
   * Default `f32`.
   */
  raw?: "f32" | "f16" | undefined;
}

/** How an index with inverted lists is built. */
export interface RabitqIvfBuildOptions extends Omit<BuildOptions, "bits"> {
  /** Bits a code spends on each dimension. Default 5. */
  bits?: 5 | 8 | undefined;
  /** Groups the rows are divided into, 1 to 2^20. Default: four times the square root of their number. */
  lists?: number | undefined;
}

/** How an index file is opened. */
export interface LoadOptions extends JobOptions {
  /**
   * How much of the file is checked before it is used: `full` every byte; `lazy` each block when it is first read;
   * `auto` (default) `full` up to 64 MiB, `lazy` above.
   */
  verify?: "auto" | "full" | "lazy" | undefined;
}

/** How rows are added. */
export type AddOptions = JobOptions;

/** How an index is compacted. */
export type CompactOptions = JobOptions;

/** How an index is saved. */
export type SaveOptions = JobOptions;

const jobNames = ["signal", "onProgress"] as const;
const buildNames = [
  "dimensions",
  "metric",
  "ids",
  "seed",
  "rerankFactor",
  "bits",
  "raw",
  ...jobNames,
] as const;

/**
 * Checks names and types; ranges that depend on the kind are the native side's.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`, `INVALID_DIMENSIONS`
 */
export function toParameters(
  kind: IndexKind,
  options: BuildOptions | RabitqIvfBuildOptions,
  where: string,
): IndexParameters {
  checkOptions(options, kind === "RabitqIvfIndex" ? [...buildNames, "lists"] : buildNames, where);
  const given: BuildOptions & Pick<RabitqIvfBuildOptions, "lists"> = options ?? {};
  const { dimensions, metric = "cosine", seed, rerankFactor, bits, lists, raw } = given;
  checkDimensions(dimensions, where);
  oneOf(metric, metrics, "metric", where);
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0)) {
    throw invalidOption(where, "seed", "a whole number from 0", seed);
  }
  if (bits !== undefined && ![1, 5, 8].includes(bits)) throw invalidOption(where, "bits", "1, 5 or 8", bits);
  checkRerankFactor(rerankFactor, where);
  checkCount("lists", lists, 2 ** 20, where);
  checkJobOptions(options, where);
  if (raw !== undefined && raw !== "f32" && raw !== "f16")
    throw invalidOption(where, "raw", "'f32' or 'f16'", raw);
  return { kind, dimensions, metric, seed, bits, rerankFactor, lists, raw };
}

/** @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION` */
export function checkLoadOptions(options: LoadOptions | undefined, where: string): LoadOptions {
  checkOptions(options, ["verify", ...jobNames], where);
  const { verify } = options ?? {};
  oneOf(verify, ["auto", "full", "lazy"], "verify", where);
  return checkJobOptions(options ?? {}, where);
}

/** @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION` */
export function checkWatchOptions(options: JobOptions | undefined, where: string): JobOptions {
  checkOptions(options, jobNames, where);
  return checkJobOptions(options ?? {}, where);
}

/** @throws {@link ConfigError} `INVALID_OPTION` */
function checkJobOptions<T extends JobOptions>(options: T, where: string): T {
  checkSignal(options.signal, where);
  if (options.onProgress !== undefined && typeof options.onProgress !== "function") {
    throw invalidOption(where, "onProgress", "a function", options.onProgress);
  }
  return options;
}

/** @throws {@link ConfigError} `INVALID_OPTION` */
export function checkRerankFactor(factor: number | undefined, where: string): void {
  checkCount("rerankFactor", factor, 1024, where);
}

/** @throws {@link ConfigError} `INVALID_OPTION` */
export function checkCount(option: string, count: number | undefined, most: number, where: string): void {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= most)) return;
  throw invalidOption(where, option, `a whole number from 1 to ${most}`, count);
}

/** @throws {@link ConfigError} `INVALID_DIMENSIONS` */
export function checkDimensions(dimensions: unknown, where: string): asserts dimensions is number {
  if (Number.isInteger(dimensions) && (dimensions as number) >= 1 && (dimensions as number) <= 8192) return;
  throw new ConfigError(
    `${where}: 'dimensions' must be a whole number from 1 to 8192, not ${describe(dimensions)}`,
    {
      code: "INVALID_DIMENSIONS",
      context: { option: "dimensions", max: 8192 },
      hint: "It is the length of each vector, given by the embedding model.",
    },
  );
}
