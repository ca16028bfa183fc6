import type { SearchParameters } from "../../native/binding.js";
import { IndexError } from "../errors.js";
import { checkOptions, checkSignal, describe, invalidOption } from "../options.js";
import { checkCount, checkRerankFactor } from "./build-options.js";
import type { IdFilter } from "./ids.js";

/** How one search is done. */
export interface SearchOptions {
  /** Only these ids may be returned. Ids that do not exist are ignored. */
  filterIds?: IdFilter | undefined;
  /**
   * Recall the search should reach on average, among however many hits, above 0 and at most 1; lower is faster. Default
   * 0.998, and 0.97 for a {@link RabitqIvfIndex}.
   */
  recallTarget?: number | undefined;
  /** Lists a {@link RabitqIvfIndex} visits, instead of as many as the recall asks for. More than there are is fine. */
  nprobe?: number | undefined;
  /** Overrides the cap the index was built with. */
  rerankFactor?: number | undefined;
  /** Stops the search, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

const names = ["filterIds", "recallTarget", "nprobe", "rerankFactor", "signal"] as const;

/**
 * Checks `k` and the options, except the filter.
 *
 * @throws {@link IndexError} `INVALID_K`
 * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 */
export function toSearchParameters(
  k: number,
  options: SearchOptions | undefined,
  where: string,
): SearchParameters {
  if (!Number.isInteger(k) || k < 1) {
    throw new IndexError(`${where}: k must be a whole number from 1, not ${describe(k)}`, {
      code: "INVALID_K",
      context: { k },
      hint: "k is the number of hits wanted; more than there are rows is fine.",
    });
  }
  if (options === undefined) {
    return { k, recallTarget: undefined, rerankFactor: undefined, nprobe: undefined };
  }
  checkOptions(options, names, where);
  const { recallTarget, nprobe, rerankFactor, signal } = options;
  if (
    recallTarget !== undefined &&
    !(typeof recallTarget === "number" && recallTarget > 0 && recallTarget <= 1)
  ) {
    throw invalidOption(where, "recallTarget", "a number above 0 and at most 1", recallTarget);
  }
  checkRerankFactor(rerankFactor, where);
  checkCount("nprobe", nprobe, 2 ** 32 - 1, where);
  checkSignal(signal, where);
  return { k, recallTarget, rerankFactor, nprobe };
}
