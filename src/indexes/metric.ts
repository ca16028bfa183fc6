/**
 * How vectors are compared. `cosine` ignores lengths, `ip` is the inner product, `l2` the Euclidean distance.
 */
export type Metric = "cosine" | "ip" | "l2";

/** Every {@link Metric}. */
export const metrics: readonly Metric[] = ["cosine", "ip", "l2"];

/** One answer of a search. */
export interface Hit {
  /** The row's id. */
  id: number;
  /** Similarity, higher is better: cosine in [-1, 1]; inner product; l2 `1 / (1 + distance)`. */
  score: number;
  /** Raw value, lower is better: `1 - cos`; the negated inner product; Euclidean distance, not squared. */
  distance: number;
}

/** The similarity of a raw distance, see {@link Hit}. */
function toScore(distance: number, metric: Metric): number {
  switch (metric) {
    case "cosine":
      return 1 - distance;
    case "ip":
      return -distance;
    case "l2":
      return 1 / (1 + distance);
  }
}

/** Hits from `id, distance` pairs. */
export function toHits(pairs: Float64Array, count: number, metric: Metric): Hit[] {
  const hits = new Array<Hit>(count);
  for (let i = 0; i < count; i++) {
    const distance = pairs[2 * i + 1] as number;
    hits[i] = { id: pairs[2 * i] as number, score: toScore(distance, metric), distance };
  }
  return hits;
}
