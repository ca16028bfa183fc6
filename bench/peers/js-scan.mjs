import { readFloats, writeNumbers } from "../datasets/matrix.mjs";

/** The exact scan anybody can write: one loop over a `Float32Array`, no library. @returns {import("../indexes/request.mjs").Peer} */
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
      const hits = Array.from({ length: k }, () => ({ id: -1, score: Number.NEGATIVE_INFINITY }));
      let worst = Number.NEGATIVE_INFINITY;
      for (let row = 0, at = 0; at < matrix.length; row++) {
        let [a, b, c, e] = [0, 0, 0, 0];
        let from = 0;
        for (; from + 3 < d; from += 4, at += 4) {
          a += /** @type {number} */ (matrix[at]) * /** @type {number} */ (target[from]);
          b += /** @type {number} */ (matrix[at + 1]) * /** @type {number} */ (target[from + 1]);
          c += /** @type {number} */ (matrix[at + 2]) * /** @type {number} */ (target[from + 2]);
          e += /** @type {number} */ (matrix[at + 3]) * /** @type {number} */ (target[from + 3]);
        }
        for (; from < d; from++, at++) {
          a += /** @type {number} */ (matrix[at]) * /** @type {number} */ (target[from]);
        }
        const score = a + b + c + e;
        if (score <= worst) continue;
        hits.pop();
        const place = hits.findIndex((hit) => hit.score < score);
        hits.splice(place < 0 ? hits.length : place, 0, { id: row, score });
        worst = hits.at(-1)?.score ?? worst;
      }
      return hits;
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
