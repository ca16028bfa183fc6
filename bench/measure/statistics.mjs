/** @typedef {import("./request.mjs").Spent} Spent */
/** @typedef {import("./request.mjs").Settings} Settings */

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (/** @type {number} */ place) => sorted[place] ?? Number.NaN;
  return sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2;
}

/**
 * Medians of several runs of the same work.
 *
 * @param {Spent[]} runs
 * @returns {Spent}
 */
export function medianSpent(runs) {
  return { wall: median(runs.map((run) => run.wall)), cpu: median(runs.map((run) => run.cpu)) };
}

/**
 * A point of a curve, for readers: times in milliseconds.
 *
 * @typedef {object} Point
 * @property {Settings} settings
 * @property {number} recall
 * @property {number} qps single queries a second of wall time
 * @property {number} cpuQps single queries a second of CPU time
 * @property {number} cpuMs CPU time of a query
 * @property {number} p50Ms
 * @property {number} p99Ms
 * @property {number} [batchQps] queries a second of wall time when all are given at once
 * @property {number} [batchCpuMs] CPU time of a query then
 */

/**
 * @param {Settings} settings
 * @param {import("./request.mjs").PointResult} result
 * @param {number} queries
 * @returns {Point}
 */
export function toPoint(settings, { recall, rounds, batches }, queries) {
  const { wall, cpu } = medianSpent(rounds);
  const batch = batches && medianSpent(batches);
  return {
    settings,
    recall,
    qps: queries / wall,
    cpuQps: queries / cpu,
    cpuMs: (cpu / queries) * 1000,
    p50Ms: median(rounds.map((round) => round.p50)) * 1000,
    p99Ms: median(rounds.map((round) => round.p99)) * 1000,
    ...(batch ? { batchQps: queries / batch.wall, batchCpuMs: (batch.cpu / queries) * 1000 } : {}),
  };
}

/**
 * The fastest measured point that reaches a recall; nothing is interpolated.
 *
 * @param {Point[]} points
 * @param {number} recall
 */
export function fastestAt(points, recall) {
  const reaching = points.filter((point) => point.recall >= recall);
  return reaching.toSorted((a, b) => b.cpuQps - a.cpuQps)[0];
}
