import { parentPort, workerData } from "node:worker_threads";

/** @type {{ base: Float32Array; dimensions: number; depth: number }} */
const { base, dimensions, depth } = workerData;
const count = base.length / dimensions;
const inverseNorms = Float64Array.from({ length: count }, (_, row) => 1 / Math.sqrt(dot(row, base, row)));

parentPort?.on("message", (/** @type {{ first: number; queries: Float32Array }} */ { first, queries }) => {
  const asked = queries.length / dimensions;
  const rows = new Int32Array(asked * depth);
  for (let query = 0; query < asked; query++) rows.set(nearest(queries, query), query * depth);
  parentPort?.postMessage({ first, rows });
});

/**
 * Four sums in flight; one would wait for each addition.
 *
 * @param {number} row of the base
 * @param {Float32Array} matrix
 * @param {number} other row of `matrix`
 */
function dot(row, matrix, other) {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let at = row * dimensions;
  let from = other * dimensions;
  const end = at + dimensions;
  for (; at + 3 < end; at += 4, from += 4) {
    a += /** @type {number} */ (base[at]) * /** @type {number} */ (matrix[from]);
    b += /** @type {number} */ (base[at + 1]) * /** @type {number} */ (matrix[from + 1]);
    c += /** @type {number} */ (base[at + 2]) * /** @type {number} */ (matrix[from + 2]);
    d += /** @type {number} */ (base[at + 3]) * /** @type {number} */ (matrix[from + 3]);
  }
  for (; at < end; at++, from++) {
    a += /** @type {number} */ (base[at]) * /** @type {number} */ (matrix[from]);
  }
  return a + b + c + d;
}

/**
 * @param {Float32Array} queries
 * @param {number} query
 */
function nearest(queries, query) {
  const rows = new Int32Array(depth).fill(-1);
  const scores = new Float64Array(depth).fill(Number.NEGATIVE_INFINITY);
  let worst = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row++) {
    const score = dot(row, queries, query) * /** @type {number} */ (inverseNorms[row]);
    if (score <= worst) continue;
    let place = depth - 1;
    for (; place > 0 && score > /** @type {number} */ (scores[place - 1]); place--) {
      scores[place] = /** @type {number} */ (scores[place - 1]);
      rows[place] = /** @type {number} */ (rows[place - 1]);
    }
    scores[place] = score;
    rows[place] = row;
    worst = /** @type {number} */ (scores[depth - 1]);
  }
  return rows;
}
