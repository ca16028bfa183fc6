import { existsSync } from "node:fs";
import { packageCopy } from "../../install.mjs";

/** @typedef {typeof import("../../../dist/index.mjs")} Package */

const { loadIndex, RabitqIvfIndex, RabitqPlusIndex } = /** @type {Package} */ (
  await import(new URL("dist/index.mjs", packageCopy).href)
);

/** Rows from which a segment of a collection groups its vectors into lists. */
const GROUPED = 100_000;

/**
 * Only the index that a collection uses for so many rows, without texts, fields, filters and log: what the rest of a lake
 * costs.
 *
 * @param {number} rows
 * @returns {import("../request.mjs").Store}
 */
export function createStore(rows) {
  const Index = rows < GROUPED ? RabitqPlusIndex : RabitqIvfIndex;
  /** @type {import("../../../dist/index.mjs").VectorIndex | undefined} */
  let index;
  let file = "";
  let width = 0;
  const opened = () => {
    if (index === undefined) throw new Error("nothing was added");
    return index;
  };
  return {
    async open(place, dimensions) {
      file = `${place}.rbq`;
      width = dimensions;
      if (existsSync(file)) index = await loadIndex(file);
    },
    async upsert(rows) {
      const matrix = new Float32Array(rows.length * width);
      for (const [i, { vector }] of rows.entries()) matrix.set(vector, i * width);
      const ids = rows.map(({ id }) => Number(id));
      if (index === undefined) index = await Index.build(matrix, { dimensions: width, ids });
      else await index.add(ids, matrix);
    },
    async settle() {
      await opened().compact();
      await opened().save(file);
    },
    search: (query, k, condition) =>
      opened().search(
        query,
        k,
        condition === undefined ? {} : { filterIds: allowed(opened().size, condition) },
      ),
    ids: (hits) => hits.map((/** @type {{ id: number }} */ { id }) => String(id)),
    remove: (ids) => opened().delete(ids.map(Number)),
    close: () => opened().close(),
  };
}

/** @param {number} rows @param {import("../request.mjs").Condition} condition */
function allowed(rows, { field, value }) {
  const matches =
    field === "bucket"
      ? (/** @type {number} */ row) => row % 100 === value
      : (/** @type {number} */ row) => (row * 7 + 3) % 10 === value;
  return Array.from({ length: rows }, (_, row) => row).filter(matches);
}
