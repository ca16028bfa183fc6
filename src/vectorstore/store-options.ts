import { ConfigError } from "../errors.js";
import type { CollectionOptions, Durability, Metric } from "../lake/records.js";
import { invalidOption, oneOf } from "../options.js";

/** How the collection behind a store is opened or created. */
export interface StoreOptions {
  /** Numbers in a vector, 1 to 8,192. Left out: the first vector decides. */
  dimensions?: number | undefined;
  /** Default `"cosine"`. */
  metric?: Metric | undefined;
  /** Default `"auto"`: exact while small, `RabitqPlusIndex` above 5,000 records. */
  index?: CollectionOptions["index"];
  /** Paths of metadata to index for filters, each with all that is below it. Default: every path. */
  metadataIndex?: CollectionOptions["metadataIndex"];
  /** Open without the right to write, beside a process that writes. Default false. */
  readOnly?: boolean | undefined;
  /** When an add or a delete counts as done. Default `"fsync"`: it survives a power cut. */
  durability?: Durability | undefined;
  /** Leave out answers with a lower score; a search may set its own. */
  minScore?: number | undefined;
  /** Recall to reach on average, above 0 and at most 1; lower is faster. A search may set its own. */
  recallTarget?: number | undefined;
}

/** Names of {@link StoreOptions}, for `checkOptions`. */
export const STORE_OPTIONS = [
  "dimensions",
  "metric",
  "index",
  "metadataIndex",
  "readOnly",
  "durability",
  "minScore",
  "recallTarget",
] as const;

/** Checks the options that the adapters, not the lake, look at. */
export function checkStoreOptions(options: StoreOptions, where: string): void {
  const { minScore, recallTarget, durability } = options;
  checkScore(minScore, where);
  if (recallTarget !== undefined && !(recallTarget > 0 && recallTarget <= 1)) {
    throw invalidOption(where, "recallTarget", "above 0 and at most 1", recallTarget);
  }
  oneOf(durability, ["fsync", "buffered"], "durability", where);
}

/** Checks a `minScore`. */
export function checkScore(minScore: number | undefined, where: string): void {
  if (minScore !== undefined && !Number.isFinite(minScore)) {
    throw invalidOption(where, "minScore", "a finite number", minScore);
  }
}

/** The error for two lists that must be of one length: `LENGTH_MISMATCH`. */
export function lengthMismatch(where: string, what: string, given: number, expected: number): ConfigError {
  return new ConfigError(`${where}: ${given} ${what} for ${expected} documents`, {
    code: "LENGTH_MISMATCH",
    context: { given, expected },
  });
}

/** The error for `new RuLakeVectorStore(…)`: `USE_OPEN`. */
export function notMadeWithNew(second: string): ConfigError {
  return new ConfigError("RuLakeVectorStore is not made with new", {
    code: "USE_OPEN",
    hint: `await RuLakeVectorStore.open("./lake/docs", ${second})`,
  });
}
