import { setTimeout as sleep } from "node:timers/promises";
import { readInts } from "../datasets/matrix.mjs";
import { peakBytes, residentBytes, timed } from "./clock.mjs";
import { watchingLoop } from "./loop-delay.mjs";
import { measureBatches, measurePoint, readQueries, summed } from "./rounds.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */

/** Searches under way at a time when they are asynchronous. */
const IN_FLIGHT = 8;

/**
 * Opens a saved index and searches it at every point.
 *
 * @param {() => Peer} createPeer
 * @param {Request} request
 * @returns {Promise<import("./request.mjs").SearchResult>}
 */
export async function search(createPeer, request) {
  const { dimensions, settings, points, index, k } = request;
  const [defaults = {}] = points;
  const peer = createPeer();
  const { matrix, rows } = readQueries(request);
  const prepared = peer.prepare ? rows.map(peer.prepare) : rows;
  const truth = readInts(request.truth);
  const before = residentBytes();
  const load = await timed(() => peer.load(index, dimensions, settings, defaults));
  peer.use(defaults, index);
  const first = await timed(() => peer.search(prepared[0], k));
  const measure = async () => ({
    ...(await measurePoint(peer, prepared, truth, request)),
    ...(await measureBatches(peer, matrix, k)),
  });
  const measured = [await measure()];
  // Before the other points: some peers load the file anew for each.
  const after = residentBytes();
  const peak = peakBytes();
  const concurrent = peer.searchAsync && (await searchConcurrently(rows, peer.searchAsync, k));
  for (const point of points.slice(1)) {
    peer.use(point, index);
    measured.push(await measure());
  }
  const promises = [];
  for (const promised of request.promises ?? []) {
    peer.use({ recallTarget: promised.recallTarget }, index);
    const reached = await measurePoint(peer, prepared, truth, { ...request, k: promised.k, rounds: 1 });
    promises.push({ ...promised, ...reached });
  }
  await peer.close?.();
  return {
    load: { wall: load.wall, cpu: load.cpu },
    firstQuery: { wall: first.wall, cpu: first.cpu },
    residentBytes: after.all - before.all,
    privateBytes: after.own - before.own,
    peakBytes: peak,
    points: measured,
    ...(promises.length > 0 ? { promises } : {}),
    ...(concurrent ? { concurrent } : {}),
  };
}

/**
 * @param {Float32Array[]} rows
 * @param {NonNullable<Peer["searchAsync"]>} searchAsync
 * @param {number} k
 */
async function searchConcurrently(rows, searchAsync, k) {
  const idle = await watchingLoop(() => sleep(1000));
  const times = new Float64Array(rows.length);
  let next = 0;
  const lane = async () => {
    while (next < rows.length) {
      const at = next++;
      const started = performance.now();
      await searchAsync(/** @type {Float32Array} */ (rows[at]), k);
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
