// Prints what each phase of long work did to the event loop of this process: `[{ phase, longestMs, seconds }]`.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readFloats } from "../datasets/matrix.mjs";
import { packageCopy } from "../install.mjs";
import { watchingLoop } from "./loop-delay.mjs";

const RECORDS = 200_000;
const BATCH = 1000;

const [what = "", folder = "", rows = "", dimensions = "", texts = ""] = process.argv.slice(2);

/** @type {{ phase: string; longestMs: number; seconds: number }[]} */
const phases = [];

/** @param {string} phase @param {() => unknown} work */
async function watch(phase, work) {
  globalThis.gc?.();
  await sleep(200);
  const started = performance.now();
  const { longestMs } = await watchingLoop(work);
  phases.push({ phase, longestMs, seconds: (performance.now() - started) / 1000 });
}

/** What other busy processes of low priority do to a Node.js that has nothing to do. */
async function control() {
  const busy = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ["-e", `require("os").setPriority(10); for (;;);`]),
  );
  try {
    await sleep(500);
    await watch("control", () => sleep(Number(rows)));
  } finally {
    for (const one of busy) one.kill("SIGKILL");
  }
}

async function index() {
  /** @type {typeof import("../../dist/index.mjs")} */
  const { RabitqIvfIndex } = await import(new URL("dist/index.mjs", packageCopy).href);
  const width = Number(dimensions);
  const base = readFloats(path.join(folder, "base.f32"), { first: Number(rows) * width });
  const place = mkdtempSync(path.join(tmpdir(), "bench-loop-"));
  try {
    /** @type {import("../../dist/index.mjs").RabitqIvfIndex | undefined} */
    let built;
    const build = async () => {
      built = await RabitqIvfIndex.build(base, { dimensions: width, metric: "cosine" });
    };
    await watch("build", build);
    await watch("save", () => built?.save(path.join(place, "index.rbq")));
    await watch("close", () => built?.close());
  } finally {
    rmSync(place, { recursive: true });
  }
}

async function lake() {
  /** @type {typeof import("../../dist/index.mjs")} */
  const { RuLake } = await import(new URL("dist/index.mjs", packageCopy).href);
  const { Records } = await import("../lake/records.mjs");
  const have = Number(rows);
  const records = new Records(folder, texts, Number(dimensions), have);
  const place = mkdtempSync(path.join(tmpdir(), "bench-loop-"));
  try {
    const store = await RuLake.open(path.join(place, "lake"));
    const docs = await store.collection("docs");
    await watch("ingest", async () => {
      for (let from = 0; from < RECORDS; from += BATCH) {
        const batch = Array.from({ length: BATCH }, (_, at) => {
          const { vector, text, bucket, group } = records.at((from + at) % have);
          return { id: `doc-${from + at}`, vector, text, metadata: { bucket, group } };
        });
        await docs.upsert(batch);
        await sleep(0);
      }
    });
    await watch("verify", () => docs.verify());
    await watch("compact", () => docs.compact());
    await watch("delete a tenth", () => docs.delete({ filter: { group: 3 } }));
    await watch("compact again", () => docs.compact());
    await watch("close the lake", () => store.close());
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** @type {Record<string, () => Promise<void>>} */
const steps = { control, index, lake };
await steps[what]?.();
console.log(JSON.stringify(phases));
