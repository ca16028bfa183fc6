import usearch from "usearch";
import { allRows, rowAt } from "./rows.mjs";

/** @typedef {import("../measure/request.mjs").Peer} Peer */
/** @typedef {import("../measure/request.mjs").Settings} Settings */

/** usearch; its points are values of `expansion_search`. @returns {Peer} */
export function createPeer() {
  /** @type {import("usearch").Index} */
  let index;
  let dimensions = 0;
  /** @type {Settings} */
  let options = {};

  let expansion = 0;

  const open = (/** @type {Settings} */ point) => {
    expansion = Number(point.expansionSearch);
    const config = {
      dimensions,
      metric: "cos",
      quantization: options.quantization,
      connectivity: options.connectivity,
      expansion_add: options.expansionAdd,
      expansion_search: expansion,
      multi: false,
    };
    return new usearch.Index(/** @type {any} */ (config));
  };
  /** @type {(...args: Parameters<NonNullable<Peer["buildRows"]>>) => void} */
  const buildRows = (rows, vectors, width, settings, point) => {
    dimensions = width;
    options = settings;
    index = open(point);
    add(rows, vectors);
  };
  const add = (/** @type {Int32Array} */ rows, /** @type {Float32Array} */ vectors) => {
    // On as many threads as there are cores.
    index.add(BigUint64Array.from(rows, BigInt), vectors, 0);
  };

  return {
    build: (base, width, settings, point, file) =>
      buildRows(allRows(base.length / width), base, width, settings, point, file),
    buildRows,
    save: (file) => index.save(file),
    load(file, width, settings, point) {
      dimensions = width;
      options = settings;
      index = open(point);
      index.load(file);
    },
    use(point, file) {
      if (point.expansionSearch === expansion) return;
      // There is no setter; the value belongs to the object that loads the file.
      index = open(point);
      index.load(file);
    },
    search: (query, k) => /** @type {any} */ (index.search(query, k, 1)),
    rows: ({ keys }) => Array.from(keys, Number),
    searchBatch: (queries, k) => {
      const rows = Array.from({ length: queries.length / dimensions }, (_, row) =>
        rowAt(queries, dimensions, row),
      );
      return index.search(rows, k, 0);
    },
    add,
    remove: (rows) => index.remove(BigUint64Array.from(rows, BigInt)),
  };
}
