import { readFloats } from "../datasets/matrix.mjs";
import { Stopwatch, timed } from "./clock.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */
/** @typedef {import("./request.mjs").Round} Round */

/**
 * The queries one by one and as one matrix.
 *
 * @param {Request} request
 */
export function readQueries({ queries: file, queryCount, dimensions }) {
  const matrix = readFloats(file, { first: queryCount * dimensions });
  const rows = Array.from({ length: queryCount }, (_, at) =>
    matrix.slice(at * dimensions, (at + 1) * dimensions),
  );
  return { matrix, rows };
}

/**
 * Recall and timed rounds of single queries.
 *
 * @param {Peer} peer
 * @param {any[]} rows the queries as the peer takes them
 * @param {Int32Array} truth
 * @param {Pick<Request, "k" | "truthDepth" | "rounds" | "seconds">} request
 * @returns {Promise<import("./request.mjs").PointResult>}
 */
export async function measurePoint(peer, rows, truth, request) {
  // Recall is taken from a round that is not timed and warms the caches and the compiler.
  const recall = await recallOf(peer, rows, truth, request);
  /** @type {Round[]} */
  const rounds = [];
  const started = performance.now();
  const timeLeft = () => performance.now() - started < request.seconds * 1000;
  while (rounds.length === 0 || (rounds.length < request.rounds && timeLeft())) {
    rounds.push(await timedRound(rows, (row) => peer.search(row, request.k)));
  }
  return { recall, rounds };
}

/**
 * All queries in one call, three times.
 *
 * @param {Peer} peer
 * @param {Float32Array} matrix
 * @param {number} k
 */
export async function measureBatches({ searchBatch }, matrix, k) {
  if (searchBatch === undefined) return {};
  const batches = [];
  for (let at = 0; at < 3; at++) {
    const { wall, cpu } = await timed(() => searchBatch(matrix, k));
    batches.push({ wall, cpu });
  }
  return { batches };
}

/**
 * The share of the true neighbours that are found; with fewer than `k` of them, of those there are.
 *
 * @param {Peer} peer
 * @param {any[]} rows
 * @param {Int32Array} truth
 * @param {Pick<Request, "k" | "truthDepth">} request
 */
async function recallOf(peer, rows, truth, { k, truthDepth }) {
  let found = 0;
  let wanted = 0;
  for (const [at, query] of rows.entries()) {
    const nearest = new Set(truth.subarray(at * truthDepth, at * truthDepth + k));
    nearest.delete(-1);
    wanted += nearest.size;
    const answer = new Set(Array.from(peer.rows(await peer.search(query, k))));
    for (const row of answer) if (nearest.has(row)) found++;
  }
  return found / wanted;
}

/**
 * Times each query. A promise is waited for; where there is none, the next call follows at once.
 *
 * @template T
 * @param {T[]} rows
 * @param {(row: T) => unknown} ask
 * @returns {Promise<Round>}
 */
export async function timedRound(rows, ask) {
  const times = new Float64Array(rows.length);
  const watch = new Stopwatch();
  for (let at = 0; at < rows.length; at++) {
    const started = performance.now();
    const answer = ask(/** @type {T} */ (rows[at]));
    if (answer instanceof Promise) await answer;
    times[at] = performance.now() - started;
  }
  return summed(watch.read(), times);
}

/**
 * @param {import("./clock.mjs").Spent} spent
 * @param {Float64Array} times in milliseconds
 * @returns {Round}
 */
export function summed({ wall, cpu }, times) {
  times.sort();
  const at = (/** @type {number} */ share) => {
    const place = Math.max(1, Math.ceil(times.length * share)) - 1;
    return /** @type {number} */ (times[place]) / 1000;
  };
  return { wall, cpu, p50: at(0.5), p99: at(0.99) };
}
