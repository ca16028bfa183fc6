import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { FlatF32Index, RabitqPlusIndex } from "rulake";
import { describe, expect, it } from "vitest";
import { bestOfThree } from "../timing.js";
import { noise } from "./dataset.js";

const dimensions = 128;

/** Begins jobs of every kind, says so, and never waits for them. */
const busy = `
  const { parentPort } = require("node:worker_threads");
  const { FlatF32Index, RabitqPlusIndex } = require("rulake");
  const vectors = new Float32Array(20000 * ${dimensions}).map((_, i) => Math.sin(i));
  (async () => {
    const index = await FlatF32Index.build(vectors, { dimensions: ${dimensions} });
    const jobs = [];
    for (let i = 0; i < 4; i++) {
      jobs.push(RabitqPlusIndex.build(vectors, { dimensions: ${dimensions}, onProgress() {}, signal: new AbortController().signal }));
      jobs.push(index.searchBatch(vectors.subarray(0, 2000 * ${dimensions}), 10));
      jobs.push(index.add([i], vectors.subarray(0, ${dimensions})));
    }
    for (let i = 0; i < 64; i++) jobs.push(index.search(vectors.subarray(0, ${dimensions}), 10));
    setTimeout(() => parentPort ? parentPort.postMessage("busy") : process.exit(0), 20);
    await Promise.all(jobs);
  })();
`;

describe("ending with jobs in flight", () => {
  it("of a worker_thread leaves the process well", async () => {
    for (let round = 0; round < 3; round++) {
      const workers = Array.from({ length: 3 }, () => new Worker(busy, { eval: true }));
      await Promise.all(
        workers.map(
          (worker) =>
            new Promise((resolve, reject) => {
              worker.once("message", resolve);
              worker.once("error", reject);
            }),
        ),
      );
      const codes = await Promise.all(workers.map((worker) => worker.terminate()));
      expect(codes).toHaveLength(3);
    }
    const index = await FlatF32Index.build(noise(10, dimensions), { dimensions });
    expect(await index.search(noise(1, dimensions), 3)).toHaveLength(3);
  });

  it("of the process leaves exit code 0 and a clean stderr", () => {
    const child = spawnSync(process.execPath, ["-e", busy], { encoding: "utf8" });
    expect(child).toMatchObject({ status: 0, signal: null, stderr: "" });
  });

  it("a promise keeps the process alive until it settles", () => {
    const script = `
      const { RabitqPlusIndex } = require("rulake");
      RabitqPlusIndex.build(new Float32Array(5000 * 64).fill(1), { dimensions: 64, onProgress() {} })
        .then((index) => index.search(new Float32Array(64), 2))
        .then((hits) => console.log(hits.length));
    `;
    const child = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
    expect(child).toMatchObject({ status: 0, stdout: "2\n", stderr: "" });
  });
});

describe("worker_threads", () => {
  it("use indexes of their own side by side", async () => {
    const script = `
      const { parentPort, workerData } = require("node:worker_threads");
      const { RabitqPlusIndex } = require("rulake");
      (async () => {
        const index = await RabitqPlusIndex.build(workerData, { dimensions: ${dimensions} });
        const { ids } = await index.searchBatch(workerData.subarray(0, 50 * ${dimensions}), 1);
        parentPort.postMessage([...ids]);
      })();
    `;
    const vectors = noise(3000, dimensions);
    const answers = await Promise.all(
      Array.from(
        { length: 4 },
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(script, { eval: true, workerData: vectors });
            worker.once("message", resolve);
            worker.once("error", reject);
          }),
      ),
    );
    for (const ids of answers) expect(ids).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });
});

describe("the thread pool of Node", () => {
  it("is not used: eight builds in flight do not delay a file read", bestOfThree, async () => {
    const vectors = noise(20_000, dimensions);
    const builds = Array.from({ length: 8 }, () => RabitqPlusIndex.build(vectors, { dimensions }));
    let finished = 0;
    for (const build of builds) void build.then(() => finished++);
    const delays: number[] = [];
    while (finished < builds.length) {
      const begun = performance.now();
      await readFile(import.meta.filename);
      delays.push(performance.now() - begun);
    }
    await Promise.all(builds);
    delays.sort((a, b) => a - b);
    // A build takes tens of milliseconds; a read that waited for one would show.
    expect(delays[Math.floor(delays.length / 2)]).toBeLessThan(10);
  });
});
