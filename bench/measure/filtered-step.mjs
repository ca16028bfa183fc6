import { readInts } from "../datasets/matrix.mjs";
import { matching } from "./build-step.mjs";
import { measurePoint, readQueries } from "./rounds.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */

/**
 * Searches a saved index under each filter, at every point.
 *
 * @param {() => Peer} createPeer
 * @param {Request} request
 * @returns {Promise<import("./request.mjs").FilteredResult>}
 */
export async function filtered(createPeer, request) {
  const { dimensions, settings, points, index } = request;
  const peer = createPeer();
  await peer.load(index, dimensions, settings, points[0] ?? {});
  const { rows } = readQueries(request);
  const prepared = peer.prepare ? rows.map(peer.prepare) : rows;
  const filters = [];
  for (const [at, { id, rows: file, truth }] of (request.filters ?? []).entries()) {
    const measured = [];
    for (const point of points) {
      // A peer may open the index anew for its settings.
      peer.use(point, index);
      peer.filter?.(readInts(file), at, matching(file, request.rowCount ?? 0));
      measured.push(await measurePoint(peer, prepared, readInts(truth), request));
    }
    filters.push({ id, points: measured });
  }
  await peer.close?.();
  return { filters };
}
