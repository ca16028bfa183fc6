import { existsSync } from "node:fs";
import zvec from "@zvec/zvec";

/** A call takes no more documents. */
const PORTION = 500;

zvec.ZVecInitialize({ queryThreads: 1, logLevel: zvec.ZVecLogLevel.WARN });

/** @zvec/zvec: HNSW with `ef` 128, inverted indexes for the fields; writing is synchronous. @returns {import("../request.mjs").Store} */
export function createStore() {
  /** @type {import("@zvec/zvec").ZVecCollection} */
  let docs;
  const indexType = zvec.ZVecIndexType.HNSW;
  const inverted = { indexType: zvec.ZVecIndexType.INVERT };
  return {
    open(place, dimension) {
      if (existsSync(place)) {
        docs = zvec.ZVecOpen(place);
        return;
      }
      const schema = new zvec.ZVecCollectionSchema({
        name: "docs",
        vectors: {
          name: "vector",
          dataType: zvec.ZVecDataType.VECTOR_FP32,
          dimension,
          indexParams: /** @type {any} */ ({ indexType, metricType: zvec.ZVecMetricType.COSINE }),
        },
        fields: [
          { name: "text", dataType: zvec.ZVecDataType.STRING },
          { name: "bucket", dataType: zvec.ZVecDataType.INT32, indexParams: inverted },
          { name: "grp", dataType: zvec.ZVecDataType.INT32, indexParams: inverted },
        ],
      });
      docs = zvec.ZVecCreateAndOpen(place, schema);
    },
    upsert(rows) {
      for (let from = 0; from < rows.length; from += PORTION) {
        const portion = rows.slice(from, from + PORTION).map(({ id, vector, text, bucket, group }) => ({
          id,
          vectors: { vector },
          fields: { text, bucket, grp: group },
        }));
        const failed = docs.upsertSync(portion).find(({ ok }) => !ok);
        if (failed !== undefined) throw new Error(failed.message);
      }
    },
    settle: () => docs.optimizeSync(),
    search: (vector, topk, condition) =>
      docs.query({
        fieldName: "vector",
        vector,
        topk,
        outputFields: ["text", "bucket", "grp"],
        params: /** @type {any} */ ({ indexType, ef: 128 }),
        ...(condition === undefined
          ? {}
          : { filter: `${condition.field === "bucket" ? "bucket" : "grp"} = ${condition.value}` }),
      }),
    ids: (found) => found.map((/** @type {{ id: string }} */ { id }) => id),
    remove(ids) {
      for (let from = 0; from < ids.length; from += PORTION) docs.deleteSync(ids.slice(from, from + PORTION));
    },
    close: () => docs.closeSync(),
  };
}
