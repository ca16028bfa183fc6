import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { RuLake, withRetry } from "rulake";
import { describe, expect, it } from "vitest";
import { Program } from "./processes/program.js";
import { scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

/** Begins calls of every kind on a lake and never waits for them; each acknowledged upsert is told. */
const busy = (place: string, name: string) => `
  const { parentPort } = require("node:worker_threads");
  const { RuLake } = require("rulake");
  const vector = (i) => Float32Array.from({ length: 8 }, (_, d) => Math.sin(i * 8 + d));
  const ignore = () => {};
  (async () => {
    const lake = await RuLake.open(${JSON.stringify(place)});
    const docs = await lake.collection("docs");
    const tell = (text) => (parentPort ? parentPort.postMessage(text) : process.stdout.write(text + "\\n"));
    await docs.upsert(Array.from({ length: 2000 }, (_, i) => ({ id: "${name}-first-" + i, vector: vector(i), text: "x" })));
    tell("${name}-first-0");
    for (let i = 0; ; i++) {
      const id = "${name}-" + i;
      docs.upsert([{ id, vector: vector(i), metadata: { i } }]).then(() => tell(id), ignore);
      docs.delete({ ids: ["${name}-first-" + (i + 1)] }).catch(ignore);
      docs.search(vector(i), { k: 20, filter: { i: { $gte: 0 } } }).catch(ignore);
      docs.searchBatch([vector(i), vector(i + 1)]).catch(ignore);
      (async () => { for await (const record of docs.scan({ include: ["vector"] })) record.id; })().catch(ignore);
      if (i % 20 === 5) docs.compact().catch(ignore);
      if (i % 20 === 9) docs.verify().catch(ignore);
      if (i % 20 === 13) docs.publishBundle(${JSON.stringify(place)} + "-bundle-${name}").catch(ignore);
      if (i % 20 === 19) RuLake.openBundle(${JSON.stringify(place)} + "-bundle-${name}").catch(ignore);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (!parentPort && i === 60) process.exit(0);
    }
  })();
`;

/** That the records acknowledged are there, that nothing is damaged, and that another process may write next. */
async function check(place: string, acknowledged: string[]): Promise<void> {
  const lake = await RuLake.open(place);
  const docs = await lake.collection("docs");
  const found = await docs.get(acknowledged);
  expect(found.map((record) => record.id)).toEqual(acknowledged);
  expect(await docs.verify()).toMatchObject({ ok: true, problems: [] });
  await lake.close();
  const next = await withRetry(() => new Program("writer.mjs", place, `${place}.progress`).started(), {
    transientDelaysMs: [100, 200, 400, 800, 1600, 3200],
    // What a terminated thread held is let go in the background.
    classify: (error) => (String(error).includes("LAKE_LOCKED") ? "transient" : "permanent"),
  });
  await next.kill();
}

describe("a lake with calls in flight", () => {
  it("survives the end of worker threads", async () => {
    const place = scratch();
    const acknowledged: string[] = [];
    await using held = await RuLake.open(place);
    for (let round = 0; round < 3; round++) {
      const workers = ["a", "b", "c"].map(
        (name) => new Worker(busy(place, `${name}${round}`), { eval: true }),
      );
      for (const worker of workers) worker.on("message", (id: string) => acknowledged.push(id));
      await Promise.all(workers.map((worker) => once(worker, "message")));
      await new Promise((resolve) => setTimeout(resolve, 100 * Math.random() + 50));
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    expect(acknowledged.length).toBeGreaterThan(9);
    await held.close();
    await check(place, acknowledged);
  });

  it("survives the exit of the process", async () => {
    const place = scratch();
    const child = spawnSync(process.execPath, ["-e", busy(place, "p")], { encoding: "utf8" });
    expect(child).toMatchObject({ status: 0, signal: null, stderr: "" });
    const acknowledged = child.stdout.split("\n").filter((line) => line !== "");
    expect(acknowledged.length).toBeGreaterThan(1);
    await check(place, acknowledged);
  });
});
