import { createHash } from "node:crypto";

/**
 * Row numbers in order, without zero rows and without rows seen before. Two equal rows would make one of two right
 * answers count as wrong.
 *
 * @param {Float32Array} matrix row-major
 * @param {number} dimensions
 */
export function distinctRows(matrix, dimensions) {
  const seen = new Set();
  const kept = [];
  for (let row = 0; row < matrix.length / dimensions; row++) {
    const numbers = matrix.subarray(row * dimensions, (row + 1) * dimensions);
    if (numbers.every((x) => x === 0)) continue;
    const key = createHash("sha1").update(numbers).digest("base64");
    if (seen.has(key)) continue;
    seen.add(key);
    kept.push(row);
  }
  return kept;
}

/**
 * The chosen rows, copied in their order.
 *
 * @param {Float32Array} matrix row-major
 * @param {number} dimensions
 * @param {ArrayLike<number>} rows
 */
export function takeRows(matrix, dimensions, rows) {
  const taken = new Float32Array(rows.length * dimensions);
  for (let at = 0; at < rows.length; at++) {
    const from = /** @type {number} */ (rows[at]) * dimensions;
    taken.set(matrix.subarray(from, from + dimensions), at * dimensions);
  }
  return taken;
}
