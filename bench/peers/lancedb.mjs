import { rmSync } from "node:fs";
import * as lancedb from "@lancedb/lancedb";
import {
  Field,
  FixedSizeList,
  Float32,
  Int8,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
} from "apache-arrow";
import { allRows } from "./rows.mjs";

/** @typedef {import("../measure/request.mjs").Peer} Peer */

const TABLE = "bench";

/** Rows of a batch. */
const PORTION = 50_000;

/** @lancedb/lancedb, whose calls are asynchronous; its points are `nprobes` and `refineFactor`. @returns {Peer} */
export function createPeer() {
  /** @type {import("@lancedb/lancedb").Table} */
  let table;
  let width = 0;
  /** @type {import("../measure/request.mjs").Settings} */
  let point = {};
  /** @type {string | undefined} */
  let filter;

  /** @type {(rows: Int32Array, vectors: Float32Array, dimensions: number, settings: import("../measure/request.mjs").Settings, file: string, columns?: Uint8Array[]) => Promise<void>} */
  const create = async (rows, vectors, dimensions, settings, file, columns = []) => {
    width = dimensions;
    rmSync(file, { recursive: true, force: true });
    const database = await lancedb.connect(file);
    const [first, ...rest] = batches(rows, padded(vectors, dimensions), padding(dimensions), columns);
    table = await database.createTable(TABLE, /** @type {any} */ (first));
    for (const batch of rest) await table.add(/** @type {any} */ (batch));
    const config = lancedb.Index.ivfRq({ ...settings, distanceType: "cosine" });
    await table.createIndex("vector", { config });
    for (const at of columns.keys()) await table.createIndex(`f${at}`, { config: lancedb.Index.bitmap() });
  };
  const ask = (/** @type {Float32Array} */ query, /** @type {number} */ k) => {
    let search = table.vectorSearch(query).distanceType("cosine").limit(k).select(["id", "_distance"]);
    if (point.nprobes !== undefined) search = search.nprobes(Number(point.nprobes));
    if (point.refineFactor !== undefined) search = search.refineFactor(Number(point.refineFactor));
    if (filter !== undefined) search = search.where(filter);
    return search.toArray();
  };

  return {
    build: (base, dimensions, settings, _point, file, columns) =>
      create(allRows(base.length / dimensions), base, dimensions, settings, file, columns),
    buildRows: (rows, vectors, dimensions, settings, _point, file) =>
      create(rows, vectors, dimensions, settings, file),
    // What was written is on disk; this gives new rows to the index and merges files.
    save: () => table.optimize({ cleanupOlderThan: new Date() }),
    async load(file, dimensions) {
      width = dimensions;
      table = await (await lancedb.connect(file)).openTable(TABLE);
    },
    use(settings) {
      point = settings;
    },
    prepare: (query) => padded(query, query.length),
    search: ask,
    searchAsync: (query, k) => ask(padded(query, query.length), k),
    rows: (found) => found.map((/** @type {{ id: number }} */ { id }) => id),
    filter(_rows, at) {
      filter = `f${at} = 1`;
    },
    async add(rows, vectors) {
      for (const batch of batches(rows, padded(vectors, width), padding(width), []))
        await table.add(/** @type {any} */ (batch));
    },
    remove: (rows) => table.delete(`id IN (${rows.join(",")})`),
    close: () => table.close(),
  };
}

/** IVF_RQ takes dimensions by the eight. @param {number} dimensions */
function padding(dimensions) {
  return Math.ceil(dimensions / 8) * 8;
}

/**
 * The rows with zeros after them, which change no cosine.
 *
 * @param {Float32Array} vectors
 * @param {number} dimensions
 */
function padded(vectors, dimensions) {
  const wide = padding(dimensions);
  if (wide === dimensions) return vectors;
  const count = vectors.length / dimensions;
  const matrix = new Float32Array(count * wide);
  for (let row = 0; row < count; row++) {
    matrix.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), row * wide);
  }
  return matrix;
}

/**
 * Arrow tables of so many rows each, whose vectors are not copied.
 *
 * @param {Int32Array} rows
 * @param {Float32Array} vectors
 * @param {number} dimensions
 * @param {Uint8Array[]} columns a byte for each row number
 */
function batches(rows, vectors, dimensions, columns) {
  const listType = new FixedSizeList(dimensions, new Field("item", new Float32(), true));
  const schema = new Schema([
    new Field("id", new Int32(), false),
    new Field("vector", listType, true),
    ...columns.map((_, at) => new Field(`f${at}`, new Int8(), false)),
  ]);
  const made = [];
  for (let from = 0; from < rows.length; from += PORTION) {
    const ids = rows.slice(from, from + PORTION);
    const { length } = ids;
    const numbers = vectors.subarray(from * dimensions, (from + length) * dimensions);
    const child = makeData({ type: new Float32(), length: length * dimensions, data: numbers });
    const children = [
      makeData({ type: new Int32(), data: ids }),
      makeData({ type: listType, length, nullCount: 0, child }),
      ...columns.map((column) =>
        makeData({ type: new Int8(), data: Int8Array.from(ids, (row) => column[row] ?? 0) }),
      ),
    ];
    const struct = makeData({
      type: new Struct(schema.fields),
      length,
      nullCount: 0,
      children: /** @type {any[]} */ (children),
    });
    made.push(new Table(schema, new RecordBatch(schema, struct)));
  }
  return made;
}
