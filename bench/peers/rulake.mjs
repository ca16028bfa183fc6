import { setTimeout as sleep } from "node:timers/promises";
import { packageCopy } from "../install.mjs";

/** @typedef {import("../../dist/index.mjs").VectorIndex} VectorIndex */
/** @typedef {import("../measure/request.mjs").Peer} Peer */

/** Upkeep that has changed nothing for so long has nothing left to do. */
const QUIET_MS = 2000;

/** @type {typeof import("../../dist/index.mjs")} */
const rulake = await import(new URL("dist/index.mjs", packageCopy).href);
const { FlatF32Index, RabitqAsymIndex, RabitqIndex, RabitqIvfIndex, RabitqPlusIndex } = rulake;
const classes = { FlatF32Index, RabitqIndex, RabitqPlusIndex, RabitqAsymIndex, RabitqIvfIndex };

/** Our own indexes; `settings` are the class and its build options. @returns {Peer} */
export function createPeer() {
  /** @type {VectorIndex} */
  let index;
  /** @type {import("../../dist/index.mjs").SearchOptions | undefined} */
  let options;

  return {
    async build(base, dimensions, { index: name, ...rest }) {
      const kind = classes[/** @type {keyof typeof classes} */ (name)];
      index = await kind.build(base, { ...rest, dimensions, metric: "cosine" });
    },
    async buildRows(ids, vectors, dimensions, { index: name, ...rest }) {
      const kind = classes[/** @type {keyof typeof classes} */ (name)];
      index = await kind.build(vectors, { ...rest, ids, dimensions, metric: "cosine" });
    },
    save: (file) => index.save(file),
    async load(file, _, { index: name }) {
      index = await classes[/** @type {keyof typeof classes} */ (name)].load(file);
    },
    use(point) {
      options = Object.keys(point).length > 0 ? point : undefined;
    },
    search: (query, k) => index.searchSync(query, k, options),
    rows: (hits) => hits.map((/** @type {{ id: number }} */ hit) => hit.id),
    searchBatch: (queries, k) => index.searchBatch(queries, k, options),
    searchAsync: (query, k) => index.search(query, k, options),
    filter(rows) {
      options = { ...options, filterIds: rows };
    },
    add: (rows, vectors) => index.add(rows, vectors),
    remove: (rows) => index.delete(rows),
    async settle() {
      const start = performance.now();
      let [state, changed] = ["", start];
      while (performance.now() - changed < QUIET_MS) {
        await sleep(50);
        const now = JSON.stringify(index.stats());
        if (now !== state) [state, changed] = [now, performance.now()];
      }
      return (changed - start) / 1e3;
    },
    memoryBytes: () => index.memoryBytes,
    ways(k) {
      const ids = new Float64Array(k);
      const distances = new Float32Array(k);
      return [
        {
          id: "into",
          what: "searchInto, numbers in arrays",
          call: (query) => index.searchInto(query, ids, distances),
        },
        { id: "sync", what: "searchSync, objects", call: (query) => index.searchSync(query, k) },
        { id: "async", what: "await search, objects", call: (query) => index.search(query, k) },
      ];
    },
  };
}
