import { packageCopy } from "../../install.mjs";

/** @typedef {typeof import("../../../dist/index.mjs")} Package */

const { RuLake } = /** @type {Package} */ (await import(new URL("dist/index.mjs", packageCopy).href));

/** A collection of a lake with its defaults: every upsert is fsynced before it is acknowledged. @returns {import("../request.mjs").Store} */
export function createStore() {
  return createWith(["text", "metadata"]);
}

/**
 * The same with fewer parts of the records in an answer.
 *
 * @param {("text" | "metadata")[]} include
 * @returns {import("../request.mjs").Store}
 */
export function createWith(include) {
  /** @type {import("../../../dist/index.mjs").RuLake} */
  let lake;
  /** @type {import("../../../dist/index.mjs").Collection} */
  let docs;
  return {
    async open(place, dimensions) {
      lake = await RuLake.open(place);
      docs = await lake.collection("docs", { dimensions });
    },
    concurrent: true,
    upsert: (rows) =>
      docs.upsert(
        rows.map(({ id, vector, text, bucket, group }) => ({
          id,
          vector,
          text,
          metadata: { bucket, group },
        })),
      ),
    settle: () => docs.compact(),
    search(query, k, condition) {
      const filter = condition === undefined ? undefined : { [condition.field]: condition.value };
      return docs.search(query, { k, filter, include });
    },
    ids: (hits) => hits.map((/** @type {{ id: string }} */ { id }) => id),
    remove: (ids) => docs.delete({ ids }),
    close: () => lake.close(),
  };
}
