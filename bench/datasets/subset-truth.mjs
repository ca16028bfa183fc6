import { exactTruth, TRUTH_DEPTH } from "./truth.mjs";

/**
 * The nearest of some rows for each query, as row numbers of the whole; -1 where there are fewer.
 *
 * @param {Float32Array} base row-major
 * @param {Int32Array} rows
 * @param {Float32Array} queries row-major
 * @param {number} dimensions
 */
export async function subsetTruth(base, rows, queries, dimensions) {
  const shared = new Float32Array(new SharedArrayBuffer(rows.length * dimensions * 4));
  for (const [at, row] of rows.entries()) {
    shared.set(base.subarray(row * dimensions, (row + 1) * dimensions), at * dimensions);
  }
  const truth = await exactTruth(shared, queries, dimensions);
  if (truth.length !== (queries.length / dimensions) * TRUTH_DEPTH) throw new Error("the truth is not whole");
  return truth.map((at) => (at < 0 ? -1 : /** @type {number} */ (rows[at])));
}

/**
 * The row numbers in the order of their cosine to one of the rows, nearest first.
 *
 * @param {Float32Array} base row-major
 * @param {number} dimensions
 * @param {number} anchor row number
 */
export function byNearness(base, dimensions, anchor) {
  const count = base.length / dimensions;
  const centre = base.subarray(anchor * dimensions, (anchor + 1) * dimensions);
  const cosines = Float64Array.from({ length: count }, (_, row) => {
    let product = 0;
    let squares = 0;
    for (let at = 0; at < dimensions; at++) {
      const x = /** @type {number} */ (base[row * dimensions + at]);
      product += x * /** @type {number} */ (centre[at]);
      squares += x * x;
    }
    return product / Math.sqrt(squares);
  });
  return Int32Array.from({ length: count }, (_, row) => row).sort(
    (a, b) => /** @type {number} */ (cosines[b]) - /** @type {number} */ (cosines[a]),
  );
}
