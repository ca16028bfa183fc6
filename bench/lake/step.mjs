// One step of the comparison in a process of its own: node --expose-gc step.mjs <request.json>
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { peakBytes, Stopwatch, timed } from "../measure/clock.mjs";
import { watchingLoop } from "../measure/loop-delay.mjs";
import { BUCKETS, GROUPS, Records } from "./records.mjs";

/** @typedef {import("./request.mjs").Request} Request */
/** @typedef {import("./request.mjs").Store} Store */

const K = 10;
const BATCH = 1000;
const IN_FLIGHT = 64;
/** So many times the records of single upserts are written with that many under way: it would be over in a moment. */
const MORE = 20;
/** Records made in a turn of the event loop. */
const PIECE = 250;

/** @type {Request} */
const request = JSON.parse(readFileSync(/** @type {string} */ (process.argv[2]), "utf8"));
/** @type {{ createStore(rows: number): Store }} */
const { createStore } = await import(`./stores/${request.store}.mjs`);
const store = createStore(request.rows);
const records = new Records(request.dataset, request.texts, request.dimensions, request.rows);

/** @param {string} place @returns {number} bytes of all files */
function diskBytes(place) {
  const found = statSync(place, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.size;
  return readdirSync(place).reduce((sum, name) => sum + diskBytes(path.join(place, name)), 0);
}

const spaceOf = () => {
  const folder = path.dirname(request.place);
  const name = path.basename(request.place);
  // SQLite keeps its log beside its file.
  return readdirSync(folder)
    .filter((each) => each.startsWith(name))
    .reduce((sum, each) => sum + diskBytes(path.join(folder, each)), 0);
};

/** @returns {Promise<import("./request.mjs").WriteResult>} */
async function write() {
  await store.open(request.place, request.dimensions);
  const { longestMs, result } = await watchingLoop(async () => {
    const { singles: count } = request;
    let next = 0;
    const singles = await timed(async () => {
      for (; next < count; next++) await store.upsert([records.at(next)]);
    });
    let concurrent;
    if (store.concurrent === true) {
      const spent = await timed(async () => {
        const end = next + MORE * count;
        const worker = async () => {
          while (next < end) await store.upsert([records.at(next++)]);
        };
        await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
      });
      concurrent = { wall: spent.wall, cpu: spent.cpu, records: next - count };
    }
    const begun = next;
    const batches = await timed(async () => {
      for (; next < request.rows; next += BATCH) {
        /** @type {import("./request.mjs").Row[]} */
        const batch = [];
        // In turns, for to make a thousand records at once would hold up the event loop as well.
        for (let at = next; at < Math.min(next + BATCH, request.rows); at += PIECE) {
          batch.push(...records.slice(at, at + PIECE));
          await turn();
        }
        await store.upsert(batch);
      }
    });
    return {
      singles: { wall: singles.wall, cpu: singles.cpu, records: count },
      ...(concurrent === undefined ? {} : { concurrent }),
      batches: { wall: batches.wall, cpu: batches.cpu, records: request.rows - begun },
    };
  });
  const { wall, cpu } = await timed(() => store.settle());
  await store.close();
  return {
    ...result,
    settle: { wall, cpu },
    diskBytes: spaceOf(),
    peakBytes: peakBytes(),
    loopDelayMs: longestMs,
  };
}

/** Single upserts, under `strace`. @returns {Promise<import("./request.mjs").SyncsResult>} */
async function syncs() {
  await store.open(request.place, request.dimensions);
  await store.upsert([records.at(0)]);
  // Between these two lines of the trace, which look for files that do not exist.
  statSync("/bench-syncs-begin", { throwIfNoEntry: false });
  for (let i = 1; i <= request.singles; i++) await store.upsert([records.at(i)]);
  statSync("/bench-syncs-end", { throwIfNoEntry: false });
  await store.close();
  return { upserts: request.singles, syncs: Number.NaN };
}

/**
 * @param {import("./request.mjs").Condition | undefined} condition @param {(row: number) => boolean} allowed
 * @returns {Promise<import("./request.mjs").Searched>}
 */
async function search(condition, allowed) {
  const { queries } = request;
  for (let i = 0; i < Math.min(20, queries); i++) await store.search(records.query(i), K, condition);
  /** @type {number[]} */
  const times = [];
  const answers = [];
  const watch = new Stopwatch();
  for (let i = 0; i < queries; i++) {
    const begun = performance.now();
    answers.push(await store.search(records.query(i), K, condition));
    times.push((performance.now() - begun) / 1000);
  }
  const spent = watch.read();
  // The truth is slow to find and changes little after a hundred queries.
  const checked = Math.min(queries, 100);
  let found = 0;
  for (let i = 0; i < checked; i++) {
    const truth = new Set(records.truth(records.query(i), K, allowed));
    found += store.ids(answers[i]).filter((id) => truth.has(id)).length;
  }
  times.sort((a, b) => a - b);
  const percentile = (/** @type {number} */ share) =>
    times[Math.floor(share * (times.length - 1))] ?? Number.NaN;
  return { ...spent, queries, recall: found / (checked * K), p50: percentile(0.5), p99: percentile(0.99) };
}

/** @returns {Promise<import("./request.mjs").ReadResult>} */
async function read() {
  const open = await timed(() => store.open(request.place, request.dimensions));
  const firstQuery = await timed(() => store.search(records.query(0), K));
  const everything = await search(undefined, () => true);
  const one = await search({ field: "bucket", value: 7 }, (row) => records.at(row).bucket === 7);
  const ten = await search({ field: "group", value: 7 }, (row) => records.at(row).group === 7);
  const gone = Array.from({ length: Math.floor(request.rows / 10) }, (_, i) => i * 10 + 4);
  const remove = await timed(async () => {
    for (let i = 0; i < gone.length; i += BATCH) await store.remove(gone.slice(i, i + BATCH).map(String));
  });
  const searchAfter = await search(undefined, (row) => row % 10 !== 4);
  const settleAfter = await timed(() => store.settle());
  await store.close();
  return {
    open: { wall: open.wall, cpu: open.cpu },
    firstQuery: { wall: firstQuery.wall, cpu: firstQuery.cpu },
    search: everything,
    one,
    ten,
    remove: { wall: remove.wall, cpu: remove.cpu, records: gone.length },
    searchAfter,
    settleAfter: { wall: settleAfter.wall, cpu: settleAfter.cpu },
    diskBytes: spaceOf(),
  };
}

if (BUCKETS % GROUPS !== 0) throw new Error("the fields would not be spread evenly");
const result = await { write, syncs, read }[request.step]();
writeFileSync(request.result, JSON.stringify(result));
