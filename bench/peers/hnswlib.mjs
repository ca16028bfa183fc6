import hnswlib from "hnswlib-node";

/** hnswlib-node; its points are values of `ef`. @returns {import("../indexes/request.mjs").Peer} */
export function createPeer() {
  /** @type {import("hnswlib-node").HierarchicalNSW} */
  let index;

  return {
    build(base, dimensions, { m, efConstruction }) {
      index = new hnswlib.HierarchicalNSW("cosine", dimensions);
      index.initIndex({
        maxElements: base.length / dimensions,
        m: Number(m),
        efConstruction: Number(efConstruction),
      });
      for (let row = 0; row < base.length / dimensions; row++) {
        // The binding takes arrays only.
        index.addPoint(Array.from(base.subarray(row * dimensions, (row + 1) * dimensions)), row);
      }
    },
    save: (file) => index.writeIndexSync(file),
    load(file, dimensions) {
      index = new hnswlib.HierarchicalNSW("cosine", dimensions);
      index.readIndexSync(file);
    },
    use: ({ ef }) => index.setEf(Number(ef)),
    prepare: (query) => Array.from(query),
    search: (query, k) => /** @type {any} */ (index.searchKnn(query, k)),
    rows: ({ neighbors }) => neighbors,
  };
}
