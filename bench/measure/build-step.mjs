import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { readFloats, readInts } from "../datasets/matrix.mjs";
import { peakBytes, timed } from "./clock.mjs";
import { watchingLoop } from "./loop-delay.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */

/**
 * Builds an index of all rows and saves it.
 *
 * @param {() => Peer} createPeer
 * @param {Request} request
 * @returns {Promise<import("./request.mjs").BuildResult>}
 */
export async function build(createPeer, request) {
  const { dimensions, settings, points, index } = request;
  const peer = createPeer();
  const base = readFloats(request.base);
  const columns = request.filters?.map(({ rows }) => matching(rows, base.length / dimensions));
  const { result: spent, longestMs } = await watchingLoop(() =>
    timed(() => peer.build(base, dimensions, settings, points[0] ?? {}, index, columns)),
  );
  const memoryBytes = peer.memoryBytes?.();
  const peak = peakBytes();
  const save = await timed(() => peer.save(index));
  await peer.close?.();
  return {
    build: { wall: spent.wall, cpu: spent.cpu },
    save: { wall: save.wall, cpu: save.cpu },
    diskBytes: sizeOf(index),
    peakBytes: peak,
    loopDelayMs: longestMs,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/**
 * A byte a row, 1 where the row is in the file.
 *
 * @param {string} file
 * @param {number} count
 */
export function matching(file, count) {
  const matches = new Uint8Array(count);
  for (const row of readInts(file)) matches[row] = 1;
  return matches;
}

/**
 * Bytes of a file, or of all files in a folder.
 *
 * @param {string} place
 */
export function sizeOf(place) {
  const stats = statSync(place);
  if (!stats.isDirectory()) return stats.size;
  let bytes = 0;
  for (const entry of readdirSync(place, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}
