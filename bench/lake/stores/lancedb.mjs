import * as lancedb from "@lancedb/lancedb";
import { Field, FixedSizeList, Float32, Int32, Schema, Utf8 } from "apache-arrow";

const TABLE = "docs";

/**
 * @lancedb/lancedb: IVF_RQ (or IVF_FLAT) for vectors, bitmap indexes for the fields, B-tree for the ids.
 *
 * @returns {import("../request.mjs").Store}
 */
export function createStore() {
  /** @type {import("@lancedb/lancedb").Table} */
  let table;
  let width = 0;
  return {
    async open(place, dimensions) {
      width = dimensions;
      const database = await lancedb.connect(place);
      const schema = new Schema([
        new Field("id", new Utf8(), false),
        new Field("vector", new FixedSizeList(dimensions, new Field("item", new Float32(), true)), true),
        new Field("text", new Utf8(), false),
        new Field("bucket", new Int32(), false),
        new Field("group", new Int32(), false),
      ]);
      const exists = (await database.tableNames()).includes(TABLE);
      table = exists
        ? await database.openTable(TABLE)
        : await database.createEmptyTable(TABLE, /** @type {any} */ (schema));
    },
    // Its conflicts would have to be repeated: several at once gain nothing.
    upsert: (rows) =>
      table
        .mergeInsert("id")
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .execute(rows.map((row) => ({ ...row, vector: Array.from(row.vector) }))),
    async settle() {
      const known = (await table.listIndices()).map(({ columns }) => columns[0]);
      if (!known.includes("id")) await table.createIndex("id", { config: lancedb.Index.btree() });
      for (const field of ["bucket", "group"]) {
        if (!known.includes(field)) await table.createIndex(field, { config: lancedb.Index.bitmap() });
      }
      if (!known.includes("vector")) {
        const { Index } = lancedb;
        const options = /** @type {const} */ ({ distanceType: "cosine" });
        // Its RaBitQ codes are whole bytes.
        const config = width % 8 === 0 ? Index.ivfRq(options) : Index.ivfFlat(options);
        await table.createIndex("vector", { config });
      }
      await table.optimize({ cleanupOlderThan: new Date() });
    },
    search(query, k, condition) {
      const search = table.vectorSearch(query).distanceType("cosine").limit(k).nprobes(64).refineFactor(20);
      search.select(["id", "text", "bucket", "group", "_distance"]);
      if (condition !== undefined) search.where(`\`${condition.field}\` = ${condition.value}`);
      return search.toArray();
    },
    ids: (found) => found.map((/** @type {{ id: string }} */ { id }) => id),
    remove: (ids) => table.delete(`id IN (${ids.map((id) => `'${id}'`).join(",")})`),
    close: () => table.close(),
  };
}
