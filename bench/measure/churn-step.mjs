import { takeRows } from "../datasets/distinct.mjs";
import { readFloats, readInts } from "../datasets/matrix.mjs";
import { sizeOf } from "./build-step.mjs";
import { timed } from "./clock.mjs";
import { watchingLoop } from "./loop-delay.mjs";
import { measurePoint, readQueries } from "./rounds.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */
/** @typedef {import("./request.mjs").Settings} Settings */

/**
 * Replaces rows of an index in rounds and compares it with one that is built of what is there at the end.
 *
 * @param {() => Peer} createPeer
 * @param {Request} request
 * @returns {Promise<import("./request.mjs").ChurnResult>}
 */
export async function churn(createPeer, request) {
  const { dimensions, settings, points, index, churn: plan } = request;
  if (plan === undefined) throw new Error("the request has no churn plan");
  const [defaults = {}] = points;
  const base = readFloats(request.base);
  const order = readInts(plan.order);
  const vectorsOf = (/** @type {Int32Array} */ rows) => takeRows(base, dimensions, rows);
  const { rows: queries } = readQueries(request);

  /**
   * @param {Peer} peer
   * @param {string} truth
   * @param {string} file
   */
  const measureAll = async (peer, truth, file) => {
    const prepared = peer.prepare ? queries.map(peer.prepare) : queries;
    const results = [];
    for (const point of points) {
      peer.use(point, file);
      results.push(await measurePoint(peer, prepared, readInts(truth), request));
    }
    return results;
  };
  const changing = (/** @type {Peer} */ peer) => {
    const { add, remove } = peer;
    if (add === undefined || remove === undefined) throw new Error(`${request.peer} cannot replace rows`);
    return { add, remove };
  };

  // Both are built in the same way: rows are numbered by `add`, whatever `build` would call them.
  const fresh = createPeer();
  const spare = `${index}.fresh`;
  const first = order.subarray(0, plan.size);
  const last = order.subarray(plan.rounds * plan.replaced, plan.size + plan.rounds * plan.replaced);
  const peer = createPeer();
  await start(peer, first, index);
  await peer.save(index);
  const before = await measureAll(peer, plan.truthBefore, index);
  const { add, remove } = changing(peer);
  const adding = { wall: 0, cpu: 0 };
  const deleting = { wall: 0, cpu: 0 };
  // Gathered beforehand, for that would hold up the event loop as well.
  const rounds = Array.from({ length: plan.rounds }, (_, round) => {
    const from = round * plan.replaced;
    const gone = order.slice(from, from + plan.replaced);
    const come = order.slice(plan.size + from, plan.size + from + plan.replaced);
    return { gone, come, vectors: vectorsOf(come) };
  });
  const { longestMs } = await watchingLoop(async () => {
    for (const { gone, come, vectors } of rounds) {
      sumUp(deleting, await timed(() => remove(gone)));
      sumUp(adding, await timed(() => add(come, vectors)));
    }
  });
  const after = await measureAll(peer, plan.truthAfter, "");
  const settlingSeconds = await peer.settle?.();
  const settled = peer.settle && (await measureAll(peer, plan.truthAfter, ""));
  const saving = await timed(() => peer.save(index));
  const diskBytes = sizeOf(index);
  await peer.close?.();
  const opened = createPeer();
  await opened.load(index, dimensions, settings, defaults);
  const reopened = await measureAll(opened, plan.truthAfter, index);
  await opened.close?.();

  await start(fresh, last, spare);
  await fresh.save(spare);
  const anew = await measureAll(fresh, plan.truthAfter, spare);
  await fresh.close?.();
  return {
    before,
    after,
    settled,
    reopened,
    fresh: anew,
    adding,
    deleting,
    settlingSeconds,
    saving: { wall: saving.wall, cpu: saving.cpu },
    diskBytes,
    freshDiskBytes: sizeOf(spare),
    loopDelayMs: longestMs,
  };

  /**
   * @param {Peer} built
   * @param {Int32Array} rows
   * @param {string} file
   */
  async function start(built, rows, file) {
    if (built.buildRows === undefined) throw new Error(`${request.peer} cannot name its rows`);
    await built.buildRows(rows, vectorsOf(rows), dimensions, settings, defaults, file);
  }
}

/**
 * @param {import("./clock.mjs").Spent} sum
 * @param {import("./clock.mjs").Spent} spent
 */
function sumUp(sum, { wall, cpu }) {
  sum.wall += wall;
  sum.cpu += cpu;
}
