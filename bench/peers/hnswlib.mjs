import hnswlib from "hnswlib-node";
import { allRows, rowAt } from "./rows.mjs";

/** @typedef {import("../measure/request.mjs").Peer} Peer */

/** hnswlib-node; its points are values of `ef`. @returns {Peer} */
export function createPeer() {
  /** @type {import("hnswlib-node").HierarchicalNSW} */
  let index;
  let width = 0;
  /** @type {((row: number) => boolean) | undefined} */
  let filter;

  const open = (/** @type {number} */ dimensions) => {
    width = dimensions;
    index = new hnswlib.HierarchicalNSW("cosine", dimensions);
  };
  const add = (/** @type {Int32Array} */ rows, /** @type {Float32Array} */ vectors, replace = false) => {
    // The binding takes arrays only.
    for (const [at, row] of rows.entries()) {
      index.addPoint(Array.from(rowAt(vectors, width, at)), row, replace);
    }
  };
  /** @type {(...args: Parameters<NonNullable<Peer["buildRows"]>>) => void} */
  const buildRows = (rows, vectors, dimensions, { m, efConstruction }) => {
    open(dimensions);
    index.initIndex({
      maxElements: rows.length,
      m: Number(m),
      efConstruction: Number(efConstruction),
      allowReplaceDeleted: true,
    });
    add(rows, vectors);
  };

  return {
    build: (base, dimensions, settings, point, file) =>
      buildRows(allRows(base.length / dimensions), base, dimensions, settings, point, file),
    buildRows,
    save: (file) => index.writeIndexSync(file),
    load(file, dimensions) {
      open(dimensions);
      index.readIndexSync(file, true);
    },
    use: ({ ef }) => index.setEf(Number(ef)),
    prepare: (query) => Array.from(query),
    search: (query, k) => /** @type {any} */ (index.searchKnn(query, k, filter)),
    rows: ({ neighbors }) => neighbors,
    filter(_rows, _at, matches) {
      filter = (row) => matches[row] === 1;
    },
    add: (rows, vectors) => add(rows, vectors, true),
    remove(rows) {
      for (const row of rows) index.markDelete(row);
    },
  };
}
