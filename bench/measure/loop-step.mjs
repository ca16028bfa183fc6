// Prints what each phase of long work did to the event loop of this process: `[{ phase, longestMs, seconds }]`.
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

const RECORDS = 200_000;
const BATCH = 1000;
/** Records made in one turn. */
const FEW = 100;
/** About as long as a batch takes. */
const UPSERT_MS = 14;

const [what = "", ...rest] = process.argv.slice(2);
const place = mkdtempSync(path.join(tmpdir(), "bench-loop-"));

/** @type {{ phase: string; longestMs: number; seconds: number }[]} */
const phases = [];

/** @param {string} phase @param {() => unknown} work */
async function watch(phase, work) {
  globalThis.gc?.();
  await sleep(200);
  const { longestMs, result } = await watchingLoop(() => timed(work));
  phases.push({ phase, longestMs, seconds: result.wall });
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
}
console.log(JSON.stringify(phases));
