import { isTurnOver, nextTurn } from "../turns.js";

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
export function toScore(distance: number, metric: Metric): number {
  switch (metric) {
    case "cosine":
      return 1 - distance;
    case "ip":
      // Not -distance, which is -0 for 0.
      return 0 - distance;
    case "l2":
      return 1 / (1 + distance);
  }
}

/** Hits from the first `count` of some `id, distance` pairs. */
export function toHits(pairs: Float64Array, count: number, metric: Metric): Hit[] {
  const hits = new Array<Hit>(count);
  for (let i = 0; i < count; i++) {
    const distance = pairs[2 * i + 1] as number;
    hits[i] = { id: pairs[2 * i] as number, score: toScore(distance, metric), distance };
  }
  return hits;
}

/** Hits made in one turn of the event loop: about half a millisecond. */
const hitPiece = 8192;

/** {@link toHits} for any number of hits, without holding up the event loop. */
export async function toHitsInTurns(pairs: Float64Array, metric: Metric): Promise<Hit[]> {
  const hits: Hit[] = [];
  for (let start = 0; start < pairs.length; start += 2 * hitPiece) {
    if (isTurnOver()) await nextTurn();
    const piece = pairs.subarray(start, start + 2 * hitPiece);
    for (const hit of toHits(piece, piece.length / 2, metric)) hits.push(hit);
  }
  return hits;
}
