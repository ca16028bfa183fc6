// Prints what each phase of long work did to the event loop of this process: a list of `Held`.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { readFloats } from "../datasets/matrix.mjs";
import { packageCopy } from "../install.mjs";
import { Records } from "../lake/records.mjs";
import { timed } from "./clock.mjs";
import { watchingLoop } from "./loop-delay.mjs";
import { Standstills } from "./standstills.mjs";
import { watchingTurns } from "./turns.mjs";

const RECORDS = 200_000;
const BATCH = 1000;
/** Records made in one turn. */
const FEW = 100;
/** About as long as a batch takes. */
const UPSERT_MS = 14;
const SEARCHES = 64;
const SEARCHING_MS = 5000;

const [what = "", ...rest] = process.argv.slice(2);
const place = mkdtempSync(path.join(tmpdir(), "bench-loop-"));

/**
 * @typedef {object} Held
 * @property {string} phase
 * @property {number} seconds how long it took
 * @property {number} longestMs how long the event loop was held up at most
 * @property {number} movingMs the same, without the time in which the machine stood still
 */

/** @type {Held[]} */
const phases = [];
const standstills = new Standstills();

/** @param {string} phase @param {() => unknown} work */
async function watch(phase, work) {
  globalThis.gc?.();
  await sleep(200);
  const { longestMs, result: watched } = await watchingLoop(() =>
    watchingTurns(() => timed(work), standstills),
  );
  const movingMs = watched.turns.reduce((most, { took }) => Math.max(most, took - 1), 0);
  phases.push({ phase, longestMs, movingMs, seconds: watched.result.wall });
}

/**
 * Keeps some searches in flight for a while.
 *
 * @param {(query: number) => Promise<unknown>} search
 */
async function searchTogether(search) {
  const end = performance.now() + SEARCHING_MS;
  let next = 0;
  const one = async () => {
    while (performance.now() < end) await search(next++);
  };
  await Promise.all(Array.from({ length: SEARCHES }, one));
}

/** @returns {Promise<typeof import("../../dist/index.mjs")>} */
function rulake() {
  return import(new URL("dist/index.mjs", packageCopy).href);
}

/**
 * Makes records a few at a time: all at once they would hold up the loop for 4 ms, whoever takes them.
 *
 * @param {Records} records @param {number} from
 */
async function batchOf(records, from) {
  const batch = [];
  for (let at = from; at < from + BATCH; at++) {
    const { vector, text, bucket, group } = records.at(at % records.rows);
    batch.push({ id: `doc-${at}`, vector, text, metadata: { bucket, group } });
    if (batch.length % FEW === 0) await turn();
  }
  return batch;
}

/**
 * What other busy processes of low priority do to a Node.js that has nothing to do, or makes the records of
 * {@link lake} and drops them.
 *
 * @param {string} milliseconds @param {string} folder @param {string} rows @param {string} dimensions
 * @param {string} texts
 */
async function control(milliseconds, folder, rows, dimensions, texts) {
  const records = new Records(folder, texts, Number(dimensions), Number(rows));
  const busy = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ["-e", `require("os").setPriority(10); for (;;);`]),
  );
  try {
    await sleep(500);
    await watch("control: only waiting", () => sleep(Number(milliseconds)));
    await watch("control: making records", async () => {
      for (let from = 0; from < RECORDS; from += BATCH) {
        await batchOf(records, from);
        await sleep(UPSERT_MS);
      }
    });
  } finally {
    for (const one of busy) one.kill("SIGKILL");
  }
}

/** @param {string} folder @param {string} rows @param {string} width */
async function index(folder, rows, width) {
  const { RabitqIvfIndex } = await rulake();
  const dimensions = Number(width);
  const base = readFloats(path.join(folder, "base.f32"), { first: Number(rows) * dimensions });
  /** @type {import("../../dist/index.mjs").RabitqIvfIndex | undefined} */
  let built;
  await watch("build", async () => {
    built = await RabitqIvfIndex.build(base, { dimensions, metric: "cosine" });
  });
  const query = (/** @type {number} */ at) => base.subarray(at * dimensions, (at + 1) * dimensions);
  await watch(`${SEARCHES} searches at once`, () =>
    searchTogether(async (at) => built?.search(query(at % Number(rows)), 10)),
  );
  await watch("save", () => built?.save(path.join(place, "index.rbq")));
  await watch("close", () => built?.close());
}

/** @param {string} folder @param {string} rows @param {string} dimensions @param {string} texts */
async function lake(folder, rows, dimensions, texts) {
  const { RuLake } = await rulake();
  const records = new Records(folder, texts, Number(dimensions), Number(rows));
  const store = await RuLake.open(path.join(place, "lake"));
  const docs = await store.collection("docs");
  await watch("ingest", async () => {
    for (let from = 0; from < RECORDS; from += BATCH) {
      await docs.upsert(await batchOf(records, from));
      await sleep(0);
    }
  });
  await watch("verify", () => docs.verify());
  await watch("compact", () => docs.compact());
  await watch(`${SEARCHES} searches of the lake at once`, () =>
    searchTogether((at) => docs.search(records.at(at % records.rows).vector, { k: 10 })),
  );
  await watch("delete a tenth", () => docs.delete({ filter: { group: 3 } }));
  await watch("compact again", () => docs.compact());
  await watch("close the lake", () => store.close());
}

/** @type {Record<string, (...rest: string[]) => Promise<void>>} */
const steps = { control, index, lake };
try {
  await steps[what]?.(...rest);
} finally {
  rmSync(place, { recursive: true });
  standstills.stop();
}
console.log(JSON.stringify(phases));
