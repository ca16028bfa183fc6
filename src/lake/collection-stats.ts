import type { CollectionCounts } from "../../native/binding.js";
import type { Metric } from "../indexes/metric.js";
import type { CollectionStats } from "./records.js";

/** What native code counted, as users see it. */
export function toCollectionStats(counts: CollectionCounts): CollectionStats {
  return {
    ...counts,
    dimensions: counts.dimensions ?? undefined,
    index: counts.index ?? undefined,
    metric: counts.metric as Metric,
  };
}
