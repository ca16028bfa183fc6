import { readFloats, writeNumbers } from "../datasets/matrix.mjs";

/**
 * The exact scan anybody can write, with some care: one loop over a `Float32Array` of unit vectors, no library.
 *
 * @returns {import("../measure/request.mjs").Peer}
 */
export function createPeer() {
  /** @type {Float32Array} */
  let matrix = new Float32Array(0);
  let d = 0;

  return {
    build(base, dimensions) {
      d = dimensions;
      matrix = new Float32Array(base.length);
      for (let at = 0; at < base.length; at += d)
        toUnit(base.subarray(at, at + d), matrix.subarray(at, at + d));
    },
    save: (file) => writeNumbers(file, matrix),
    load(file, dimensions) {
      d = dimensions;
      matrix = readFloats(file);
    },
    use() {},
    search(query, k) {
      const target = new Float32Array(d);
      toUnit(query, target);
      return nearest(matrix, target, k);
    },
    rows: (hits) => hits.map((/** @type {{ id: number }} */ hit) => hit.id),
  };
}

/**
 * @param {Float32Array} from
 * @param {Float32Array} to takes the numbers of `from`, scaled to length 1
 */
function toUnit(from, to) {
  let squares = 0;
  for (const x of from) squares += x * x;
  const length = Math.sqrt(squares);
  for (let at = 0; at < from.length; at++) to[at] = /** @type {number} */ (from[at]) / length;
}

/**
 * @param {Float32Array} matrix
 * @param {Float32Array} query
 * @param {number} k
 */
function nearest(matrix, query, k) {
  const hits = Array.from({ length: k }, () => ({ id: -1, score: Number.NEGATIVE_INFINITY }));
  const count = matrix.length / query.length;
  let worst = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row++) {
    const score = dot(matrix, row * query.length, query);
    if (score <= worst) continue;
    hits.pop();
    const place = hits.findIndex((hit) => hit.score < score);
    hits.splice(place < 0 ? hits.length : place, 0, { id: row, score });
    worst = hits.at(-1)?.score ?? worst;
  }
  return hits;
}

/**
 * Four sums in flight: one would wait for each addition.
 *
 * @param {Float32Array} matrix
 * @param {number} start
 * @param {Float32Array} query
 */
function dot(matrix, start, query) {
  const d = query.length;
  const whole = d - (d % 4);
  let a = 0;
  let b = 0;
  let c = 0;
  let e = 0;
  for (let i = 0; i < whole; i += 4) {
    a += /** @type {number} */ (matrix[start + i]) * /** @type {number} */ (query[i]);
    b += /** @type {number} */ (matrix[start + i + 1]) * /** @type {number} */ (query[i + 1]);
    c += /** @type {number} */ (matrix[start + i + 2]) * /** @type {number} */ (query[i + 2]);
    e += /** @type {number} */ (matrix[start + i + 3]) * /** @type {number} */ (query[i + 3]);
  }
  for (let i = whole; i < d; i++) {
    a += /** @type {number} */ (matrix[start + i]) * /** @type {number} */ (query[i]);
  }
  return a + b + c + e;
}
