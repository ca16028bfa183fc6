/**
 * The numbers 0 to `count` - 1: the ids of an index that is built of all rows.
 *
 * @param {number} count
 */
export function allRows(count) {
  return Int32Array.from({ length: count }, (_, row) => row);
}

/**
 * One row of a matrix, not copied.
 *
 * @param {Float32Array} matrix
 * @param {number} dimensions
 * @param {number} at
 */
export function rowAt(matrix, dimensions, at) {
  return matrix.subarray(at * dimensions, (at + 1) * dimensions);
}
