import { readFileSync } from "node:fs";
import path from "node:path";
import { readFloats } from "../datasets/matrix.mjs";

/** Conditions of these fields hold for one record of so many. */
export const BUCKETS = 100;
export const GROUPS = 10;

/** @typedef {import("./request.mjs").Row} Row */

/** The records of a data set: glosses with their vectors and two fields that have nothing to do with them. */
export class Records {
  #base;
  #texts;

  /** @param {string} folder @param {string} texts @param {number} dimensions @param {number} rows */
  constructor(folder, texts, dimensions, rows) {
    this.dimensions = dimensions;
    this.rows = rows;
    this.#base = readFloats(path.join(folder, "base.f32"), { first: rows * dimensions });
    this.#texts = readFileSync(texts, "utf8").split("\n");
    this.queries = readFloats(path.join(folder, "queries.f32"));
  }

  /** @param {number} row @returns {Row} */
  at(row) {
    return {
      id: String(row),
      vector: this.#base.slice(row * this.dimensions, (row + 1) * this.dimensions),
      text: this.#texts[row] ?? "",
      // Fixed, and the same in every store: the rows are shuffled, so they are independent of the vectors.
      bucket: row % BUCKETS,
      group: (row * 7 + 3) % GROUPS,
    };
  }

  /** @param {number} from @param {number} to */
  slice(from, to) {
    return Array.from({ length: Math.min(to, this.rows) - from }, (_, i) => this.at(from + i));
  }

  /** @param {number} at */
  query(at) {
    return this.queries.subarray(at * this.dimensions, (at + 1) * this.dimensions);
  }

  /**
   * Ids of the `k` rows nearest by cosine among those that satisfy `allowed`.
   *
   * @param {Float32Array} query @param {number} k @param {(row: number) => boolean} allowed
   */
  truth(query, k, allowed) {
    const best = [];
    for (let row = 0; row < this.rows; row++) {
      if (!allowed(row)) continue;
      let dot = 0;
      let squared = 0;
      for (let d = 0, at = row * this.dimensions; d < this.dimensions; d++, at++) {
        const x = this.#base[at] ?? 0;
        dot += x * (query[d] ?? 0);
        squared += x * x;
      }
      best.push({ row, cosine: squared > 0 ? dot / Math.sqrt(squared) : 0 });
    }
    best.sort((a, b) => b.cosine - a.cosine || a.row - b.row);
    return best.slice(0, k).map(({ row }) => String(row));
  }
}
