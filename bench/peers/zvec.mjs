import { rmSync } from "node:fs";
import zvec from "@zvec/zvec";
import { allRows, rowAt } from "./rows.mjs";

/** @typedef {import("../measure/request.mjs").Peer} Peer */
/** @typedef {import("@zvec/zvec").ZVecCollection} Collection */

const { COSINE } = zvec.ZVecMetricType;
const FIELD = "v";

/** A call takes no more documents. */
const PORTION = 500;

// One query on one thread, as for all.
zvec.ZVecInitialize({ queryThreads: 1, logLevel: zvec.ZVecLogLevel.WARN });

/** @zvec/zvec, its synchronous calls; its points are values of `ef`. @returns {Peer} */
export function createPeer() {
  /** @type {Collection} */
  let collection;
  let width = 0;
  let params = {};
  /** @type {string | undefined} */
  let filter;
  let indexType = zvec.ZVecIndexType.HNSW;

  /**
   * @param {Int32Array} rows
   * @param {Float32Array} vectors
   * @param {Uint8Array[]} columns
   */
  const add = (rows, vectors, columns = []) => {
    for (let from = 0; from < rows.length; from += PORTION) {
      const documents = Array.from(rows.subarray(from, from + PORTION), (row, place) => ({
        id: String(row),
        vectors: { [FIELD]: rowAt(vectors, width, from + place) },
        fields: Object.fromEntries(columns.map((column, at) => [`f${at}`, column[row]])),
      }));
      const failed = collection.insertSync(documents).find(({ ok }) => !ok);
      if (failed !== undefined) throw new Error(failed.message);
    }
  };
  /** @type {(rows: Int32Array, vectors: Float32Array, dimensions: number, settings: import("../measure/request.mjs").Settings, file: string, columns?: Uint8Array[]) => void} */
  const create = (rows, vectors, dimensions, { type, ...rest }, file, columns = []) => {
    width = dimensions;
    rmSync(file, { recursive: true, force: true });
    indexType = /** @type {any} */ (zvec.ZVecIndexType)[String(type)];
    const schema = new zvec.ZVecCollectionSchema({
      name: "bench",
      vectors: {
        name: FIELD,
        dataType: zvec.ZVecDataType.VECTOR_FP32,
        dimension: dimensions,
        indexParams: /** @type {any} */ ({ indexType, metricType: COSINE, ...rest }),
      },
      fields: columns.map((_, at) => ({
        name: `f${at}`,
        dataType: zvec.ZVecDataType.INT32,
        indexParams: { indexType: zvec.ZVecIndexType.INVERT },
      })),
    });
    collection = zvec.ZVecCreateAndOpen(file, schema);
    add(rows, vectors, columns);
    collection.optimizeSync();
  };

  return {
    build: (base, dimensions, settings, _point, file, columns) =>
      create(allRows(base.length / dimensions), base, dimensions, settings, file, columns),
    buildRows: (rows, vectors, dimensions, settings, _point, file) =>
      create(rows, vectors, dimensions, settings, file),
    // What was written is on disk; indexes of new rows are not made before this.
    save: () => collection.optimizeSync(),
    load(file, dimensions, { type }) {
      width = dimensions;
      indexType = /** @type {any} */ (zvec.ZVecIndexType)[String(type)];
      collection = zvec.ZVecOpen(file, { readOnly: true });
    },
    use(point) {
      params = Object.keys(point).length > 0 ? { params: { indexType, ...point } } : {};
    },
    search: (vector, k) =>
      collection.querySync({
        fieldName: FIELD,
        vector,
        topk: k,
        outputFields: [],
        ...(filter ? { filter } : {}),
        ...params,
      }),
    searchAsync: (vector, k) =>
      collection.query({ fieldName: FIELD, vector, topk: k, outputFields: [], ...params }),
    rows: (documents) => documents.map((/** @type {{ id: string }} */ { id }) => Number(id)),
    filter(_rows, at) {
      filter = `f${at} = 1`;
    },
    add: (rows, vectors) => add(rows, vectors),
    remove(rows) {
      for (let from = 0; from < rows.length; from += PORTION) {
        collection.deleteSync(Array.from(rows.subarray(from, from + PORTION), String));
      }
    },
    close: () => collection.closeSync(),
  };
}
