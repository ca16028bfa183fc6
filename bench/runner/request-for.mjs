import path from "node:path";

/** Hits of a search. */
export const K = 10;

/**
 * @param {import("../lineup.mjs").Entry} entry
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {{ quick: boolean; step: import("../measure/request.mjs").Request["step"]; index: string; points?: import("../measure/request.mjs").Settings[]; queries?: number }} options
 * @returns {Omit<import("../measure/request.mjs").Request, "result">}
 */
export function requestFor(entry, dataset, { quick, step, index, points = entry.points, queries }) {
  const { dimensions, folder, truthDepth } = dataset;
  return {
    step,
    peer: entry.peer,
    settings: entry.settings,
    points,
    dimensions,
    k: K,
    truthDepth,
    index,
    base: path.join(folder, "base.f32"),
    queries: path.join(folder, "queries.f32"),
    truth: path.join(folder, "truth.i32"),
    rounds: quick ? 2 : 5,
    seconds: quick ? 2 : 10,
    queryCount: Math.min(
      dataset.queries,
      queries ?? entry.queries ?? dataset.queries,
      quick ? 200 : dataset.queries,
    ),
  };
}

/**
 * The points of a run: all, or with `quick` each third.
 *
 * @param {import("../measure/request.mjs").Settings[]} points
 * @param {boolean} quick
 */
export function pointsOf(points, quick) {
  return quick ? points.filter((_, at) => at % 3 === 0) : points;
}
