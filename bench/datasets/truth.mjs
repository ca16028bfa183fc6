import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { Progress } from "./progress.mjs";

/** Neighbours kept for each query. */
export const TRUTH_DEPTH = 100;

/** Queries a worker is given at a time. */
const PORTION = 25;

/**
 * The row numbers of the `TRUTH_DEPTH` nearest base rows of every query by cosine, nearest first, computed in
 * 64-bit arithmetic; equal cosines by row number.
 *
 * @param {Float32Array} base in shared memory, row-major
 * @param {Float32Array} queries row-major
 * @param {number} dimensions
 * @returns {Promise<Int32Array>}
 */
export async function exactTruth(base, queries, dimensions) {
  const count = queries.length / dimensions;
  const truth = new Int32Array(count * TRUTH_DEPTH);
  const progress = new Progress("exact neighbours", count);
  let next = 0;
  let done = 0;
  const run = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL("./truth-worker.mjs", import.meta.url), {
        workerData: { base, dimensions, depth: TRUTH_DEPTH },
      });
      const give = () => {
        if (next >= count) return void worker.terminate().then(resolve, reject);
        const first = next;
        next = Math.min(count, next + PORTION);
        worker.postMessage({ first, queries: queries.slice(first * dimensions, next * dimensions) });
      };
      worker.on("message", ({ first, rows }) => {
        truth.set(rows, first * TRUTH_DEPTH);
        done += rows.length / TRUTH_DEPTH;
        progress.report(done);
        give();
      });
      worker.on("error", reject);
      give();
    });
  await Promise.all(Array.from({ length: availableParallelism() }, run));
  return truth;
}
