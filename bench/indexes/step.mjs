// One step of the benchmark in a process of its own: node --expose-gc step.mjs <request.json>
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readFloats, readInts } from "../datasets/matrix.mjs";
import { peakBytes, residentBytes, Stopwatch, timed } from "./clock.mjs";
import { watchingLoop } from "./loop-delay.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */
/** @typedef {import("./request.mjs").Round} Round */

/** Searches under way at a time when they are asynchronous. */
const IN_FLIGHT = 8;

/** @type {Request} */
const request = JSON.parse(readFileSync(/** @type {string} */ (process.argv[2]), "utf8"));
/** @type {{ createPeer(): Peer }} */
const { createPeer } = await import(`../peers/${request.peer}.mjs`);
const peer = createPeer();
const result = request.step === "build" ? await build() : await search();
writeFileSync(request.result, JSON.stringify(result));

/** @returns {Promise<import("./request.mjs").BuildResult>} */
async function build() {
  const { dimensions, settings, points, index } = request;
  const base = readFloats(request.base);
  const { result: spent, longestMs } = await watchingLoop(() =>
    timed(() => peer.build(base, dimensions, settings, points[0] ?? {})),
  );
  const memoryBytes = peer.memoryBytes?.();
  const peak = peakBytes();
  const save = await timed(() => peer.save(index));
  return {
    build: { wall: spent.wall, cpu: spent.cpu },
    save: { wall: save.wall, cpu: save.cpu },
    diskBytes: statSync(index).size,
    peakBytes: peak,
    loopDelayMs: longestMs,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** @returns {Promise<import("./request.mjs").SearchResult>} */
async function search() {
  const { dimensions, queryCount, settings, points, index, k } = request;
  const [defaults = {}] = points;
  const queries = readFloats(request.queries, { first: queryCount * dimensions });
  const rows = Array.from({ length: queryCount }, (_, at) =>
    queries.slice(at * dimensions, (at + 1) * dimensions),
  );
  const prepared = peer.prepare ? rows.map(peer.prepare) : rows;
  const truth = readInts(request.truth);
  const before = residentBytes();
  const load = await timed(() => peer.load(index, dimensions, settings, defaults));
  peer.use(defaults, index);
  const first = await timed(() => peer.search(prepared[0], k));
  const measured = [await measure(prepared, queries, truth)];
  // Before the other points: some peers load the file anew for each.
  const after = residentBytes();
  const peak = peakBytes();
  const concurrent = peer.searchAsync && (await searchConcurrently(rows, peer.searchAsync));
  for (const point of points.slice(1)) {
    peer.use(point, index);
    measured.push(await measure(prepared, queries, truth));
  }
  return {
    load: { wall: load.wall, cpu: load.cpu },
    firstQuery: { wall: first.wall, cpu: first.cpu },
    residentBytes: after.all - before.all,
    privateBytes: after.own - before.own,
    peakBytes: peak,
    points: measured,
    ...(concurrent ? { concurrent } : {}),
  };
}

/**
 * @param {any[]} rows the queries as the peer takes them
 * @param {Float32Array} queries the same as one matrix
 * @param {Int32Array} truth
 */
async function measure(rows, queries, truth) {
  // Recall is taken from a round that is not timed and warms the caches and the compiler.
  const recall = recallOf(rows, truth);
  /** @type {Round[]} */
  const rounds = [];
  const started = performance.now();
  const timeLeft = () => performance.now() - started < request.seconds * 1000;
  while (rounds.length === 0 || (rounds.length < request.rounds && timeLeft())) rounds.push(round(rows));
  const batches = [];
  if (peer.searchBatch) {
    for (let at = 0; at < 3; at++) {
      const { wall, cpu } = await timed(() => peer.searchBatch?.(queries, request.k));
      batches.push({ wall, cpu });
    }
  }
  return { recall, rounds, ...(batches.length > 0 ? { batches } : {}) };
}

/**
 * @param {any[]} rows
 * @param {Int32Array} truth
 */
function recallOf(rows, truth) {
  let found = 0;
  for (const [at, query] of rows.entries()) {
    const nearest = new Set(truth.subarray(at * request.truthDepth, at * request.truthDepth + request.k));
    const answer = new Set(Array.from(peer.rows(peer.search(query, request.k))));
    for (const row of answer) if (nearest.has(row)) found++;
  }
  return found / (rows.length * request.k);
}

/** @param {any[]} rows */
function round(rows) {
  const { k } = request;
  const times = new Float64Array(rows.length);
  const watch = new Stopwatch();
  for (let at = 0; at < rows.length; at++) {
    const started = performance.now();
    peer.search(rows[at], k);
    times[at] = performance.now() - started;
  }
  return summed(watch.read(), times);
}

/**
 * @param {Float32Array[]} rows
 * @param {NonNullable<Peer["searchAsync"]>} searchAsync
 */
async function searchConcurrently(rows, searchAsync) {
  const idle = await watchingLoop(() => sleep(1000));
  const times = new Float64Array(rows.length);
  let next = 0;
  const lane = async () => {
    while (next < rows.length) {
      const at = next++;
      const started = performance.now();
      await searchAsync(/** @type {Float32Array} */ (rows[at]), request.k);
      times[at] = performance.now() - started;
    }
  };
  const { result: spent, longestMs } = await watchingLoop(() =>
    timed(() => Promise.all(Array.from({ length: IN_FLIGHT }, lane))),
  );
  return {
    round: summed(spent, times),
    inFlight: IN_FLIGHT,
    loopDelayMs: longestMs,
    idleLoopDelayMs: idle.longestMs,
  };
}

/**
 * @param {import("./clock.mjs").Spent} spent
 * @param {Float64Array} times in milliseconds
 * @returns {Round}
 */
function summed({ wall, cpu }, times) {
  times.sort();
  const at = (/** @type {number} */ share) => {
    const place = Math.max(1, Math.ceil(times.length * share)) - 1;
    return /** @type {number} */ (times[place]) / 1000;
  };
  return { wall, cpu, p50: at(0.5), p99: at(0.99) };
}
