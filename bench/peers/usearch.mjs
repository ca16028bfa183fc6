import usearch from "usearch";

/** usearch; its points are values of `expansion_search`. @returns {import("../indexes/request.mjs").Peer} */
export function createPeer() {
  /** @type {import("usearch").Index} */
  let index;
  let dimensions = 0;
  /** @type {import("../indexes/request.mjs").Settings} */
  let options = {};

  let expansion = 0;

  const open = (/** @type {import("../indexes/request.mjs").Settings} */ point) => {
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

  return {
    build(base, width, settings, point) {
      dimensions = width;
      options = settings;
      index = open(point);
      const keys = BigUint64Array.from({ length: base.length / width }, (_, row) => BigInt(row));
      // On as many threads as there are cores.
      index.add(keys, base, 0);
    },
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
        queries.subarray(row * dimensions, (row + 1) * dimensions),
      );
      return index.search(rows, k, 0);
    },
  };
}
