import { readQueries, timedRound } from "./rounds.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */

/**
 * The ways to call one search, at the first point.
 *
 * @param {() => Peer} createPeer
 * @param {Request} request
 * @returns {Promise<import("./request.mjs").OverheadResult>}
 */
export async function overhead(createPeer, request) {
  const { dimensions, settings, points, index, k } = request;
  const peer = createPeer();
  await peer.load(index, dimensions, settings, points[0] ?? {});
  peer.use(points[0] ?? {}, index);
  const { rows } = readQueries(request);
  const { ways } = peer;
  if (ways === undefined) throw new Error(`${request.peer} has one way to search only`);
  /** @type {import("./request.mjs").OverheadResult} */
  const results = [];
  // In turn, so that what else the machine does meets all of them alike; the first round warms up.
  const calls = ways(k);
  for (let round = 0; round <= request.rounds; round++) {
    for (const [at, { id, what, call }] of calls.entries()) {
      const measured = await timedRound(rows, call);
      if (round === 0) results.push({ id, what, rounds: [] });
      else results[at]?.rounds.push(measured);
    }
  }
  await peer.close?.();
  return results;
}
