import { execFileSync } from "node:child_process";
import { RuLake } from "rulake";
import { describe, expect, it } from "vitest";
import { noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

describe("concurrent calls", () => {
  it("share their fsyncs", async () => {
    await using lake = await RuLake.open(scratch());
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "first", vector: [1, 0] }]);
    const single = async (count: number, work: (i: number) => Promise<unknown>) => {
      const begun = performance.now();
      await work(count);
      return (performance.now() - begun) / count;
    };
    const alone = await single(20, async (count) => {
      for (let i = 0; i < count; i++) await docs.upsert([{ id: `s${i}`, vector: [i, 1] }]);
    });
    const together = await single(1000, (count) =>
      Promise.all(Array.from({ length: count }, (_, i) => docs.upsert([{ id: `t${i}`, vector: [i, 2] }]))),
    );
    expect(docs.size).toBe(1021);
    // A thousand fsyncs one after the other would take as long each as one alone.
    expect(together).toBeLessThan(alone);
  });

  it("find no damage where a writer of another lake object removes what is not needed", async () => {
    const place = scratch();
    await using lake = await RuLake.open(place, { retain: { generations: 1 } });
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "first", vector: [1, 0] }]);
    await using reading = await RuLake.open(place, { readOnly: true });
    const seen = await reading.collection("docs");
    let writing = true;
    const until = performance.now() + 6000;
    const writer = (async () => {
      for (let i = 0; i < 300 && performance.now() < until; i++) {
        await docs.upsert([{ id: `r${i % 50}`, vector: [1, i] }], { durability: "buffered" });
        await docs.compact();
      }
    })().finally(() => {
      writing = false;
    });
    while (writing) {
      await seen.refresh();
      expect((await seen.verify()).problems).toEqual([]);
      for (const { snapshot } of (await seen.history()).slice(-2)) {
        const past = await seen.at(snapshot).catch((error) => error.code);
        if (typeof past === "string") expect(past).toBe("SNAPSHOT_NOT_FOUND");
        else await past.close();
      }
    }
    await writer;
  });

  it("see whole batches while others write and checkpoints are made", async () => {
    await using lake = await RuLake.open(scratch());
    const docs = await lake.collection<{ round: number }>("docs");
    const size = 64;
    const vectors = Array.from({ length: size }, (_, i) => noise(16, i + 1));
    const write = (round: number) =>
      docs.upsert(
        vectors.map((vector, i) => ({ id: `r${i}`, vector, metadata: { round } })),
        { durability: "buffered" },
      );
    await write(0);
    let writing = true;
    const writer = (async () => {
      for (let round = 1; round <= 60; round++) {
        await write(round);
        if (round % 15 === 0) await docs.compact();
      }
      writing = false;
    })();
    let reads = 0;
    let newest = 0;
    while (writing) {
      const hits = await docs.search(noise(16, 99), { k: 200 });
      const rounds = new Set(hits.map((hit) => hit.metadata?.round));
      expect(hits).toHaveLength(size);
      expect(rounds.size).toBe(1);
      const [round = -1] = rounds;
      expect(round, "never back in time").toBeGreaterThanOrEqual(newest);
      newest = round;
      reads++;
    }
    await writer;
    expect(reads).toBeGreaterThan(0);
    expect(await docs.verify()).toMatchObject({ ok: true });
  });

  it("keep a lake open that nobody else holds", () => {
    // In a process of its own: collecting garbage needs a flag.
    const script = `
      import { RuLake } from "rulake";
      const docs = await (await RuLake.open(${JSON.stringify(scratch())})).collection("docs");
      for (let i = 0; i < 20; i++) {
        await docs.upsert([{ id: "r" + i, vector: [i, 1] }]);
        globalThis.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const hits = (await (await RuLake.open({ memory: true })).collection("x")).upsert([{ vector: [1] }]);
      globalThis.gc();
      await hits;
      process.stdout.write(String(docs.size));
    `;
    const args = ["--expose-gc", "--input-type=module", "-e", script];
    expect(execFileSync(process.execPath, args, { encoding: "utf8", cwd: process.cwd() })).toBe("20");
  });
});
