import Database from "better-sqlite3";
import { load } from "sqlite-vec";

/** better-sqlite3 with sqlite-vec: a log that is synced with every transaction, and exact searches. @returns {import("../request.mjs").Store} */
export function createStore() {
  /** @type {import("better-sqlite3").Database} */
  let database;
  /** @type {Record<string, import("better-sqlite3").Statement>} */
  let statements = {};
  const named = (/** @type {string} */ name) => {
    const statement = statements[name];
    if (statement === undefined) throw new Error(`no statement '${name}'`);
    return statement;
  };
  return {
    open(place, dimensions) {
      database = new Database(place);
      load(database);
      database.pragma("journal_mode = WAL");
      database.pragma("synchronous = FULL");
      database.exec(`
        create table if not exists docs (row integer primary key, id text unique not null, text text not null,
          bucket integer not null, grp integer not null);
        create virtual table if not exists vectors using vec0 (row integer primary key,
          vector float[${dimensions}] distance_metric=cosine, bucket integer, grp integer);
      `);
      const found = `select docs.id, docs.text, docs.bucket, docs.grp, found.distance from (
        select row, distance from vectors where vector match ? and k = ? $) found join docs on docs.row = found.row
        order by found.distance`;
      statements = {
        put: database.prepare(`insert into docs (id, text, bucket, grp) values (?, ?, ?, ?) on conflict (id)
          do update set text = excluded.text, bucket = excluded.bucket, grp = excluded.grp returning row`),
        forget: database.prepare("delete from vectors where row = ?"),
        vector: database.prepare("insert into vectors (row, vector, bucket, grp) values (?, ?, ?, ?)"),
        remove: database.prepare("delete from docs where id = ? returning row"),
        all: database.prepare(found.replace("$", "")),
        bucket: database.prepare(found.replace("$", "and bucket = ?")),
        group: database.prepare(found.replace("$", "and grp = ?")),
      };
    },
    upsert(rows) {
      database.transaction(() => {
        for (const { id, vector, text, bucket, group } of rows) {
          const { row } = /** @type {{ row: number }} */ (named("put").get(id, text, bucket, group));
          named("forget").run(BigInt(row));
          named("vector").run(BigInt(row), vector, BigInt(bucket), BigInt(group));
        }
      })();
    },
    settle() {
      database.pragma("wal_checkpoint(TRUNCATE)");
      database.exec("vacuum");
      database.pragma("wal_checkpoint(TRUNCATE)");
    },
    search: (query, k, condition) =>
      condition === undefined
        ? named("all").all(query, BigInt(k))
        : named(condition.field).all(query, BigInt(k), BigInt(condition.value)),
    ids: (found) => found.map((/** @type {{ id: string }} */ { id }) => id),
    remove(ids) {
      database.transaction(() => {
        for (const id of ids) {
          const found = /** @type {{ row: number } | undefined} */ (named("remove").get(id));
          if (found !== undefined) named("forget").run(BigInt(found.row));
        }
      })();
    },
    close: () => database.close(),
  };
}
