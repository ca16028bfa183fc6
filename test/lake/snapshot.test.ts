import { execFileSync } from "node:child_process";
import type { RecordBatch } from "apache-arrow";
import { RuLake } from "rulake";
import { describe, expect, it } from "vitest";
import { failure, ids, memoryCollection, noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

describe("a snapshot", () => {
  it.each([{ memory: true as const }, "disk"])("stays as it was (%s)", async (place) => {
    await using lake = await RuLake.open(place === "disk" ? scratch() : { memory: true });
    const docs = await lake.collection("docs");
    await docs.upsert([
      { id: "a", vector: [1, 0], text: "one" },
      { id: "b", vector: [0, 1] },
    ]);
    await using before = await docs.snapshot();
    await docs.delete({ all: true });
    await docs.compact();
    expect([before.size, before.dimensions, docs.size]).toEqual([2, 2, 0]);
    expect(ids(await before.search([1, 0], { k: 5 }))).toEqual(["a", "b"]);
    expect(await before.get(["a"])).toEqual([{ id: "a", text: "one" }]);
    expect(await before.count()).toBe(2);
    await before.close();
    expect((await failure(before.count())).code).toBe("CLOSED");
  });

  it("is found again by the id of a write, until retention removes it", async () => {
    await using lake = await RuLake.open(scratch(), { retain: { generations: 50 } });
    const docs = await lake.collection("docs");
    const writes: string[] = [];
    for (let i = 0; i < 12; i++) {
      writes.push((await docs.upsert([{ id: `r${i}`, vector: [i, 1] }])).snapshot);
      if (i % 4 === 3) await docs.compact();
    }
    expect([...writes].sort()).toEqual(writes);
    const history = await docs.history();
    expect(history.map((entry) => entry.snapshot).slice(1)).toEqual(writes);
    expect(history.filter((entry) => entry.generation !== undefined).length).toBeGreaterThan(2);
    expect(Math.abs((history.at(-1)?.committed.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    for (const [i, write] of writes.entries()) {
      await using past = await docs.at(write);
      expect([past.id, past.size]).toEqual([write, i + 1]);
      expect(await past.search([0, 1], { k: 99 })).toHaveLength(i + 1);
    }
    const error = await failure(docs.at("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    expect([error.code, error.category]).toEqual(["SNAPSHOT_NOT_FOUND", "permanent"]);
    expect((await failure(docs.at("nonsense"))).code).toBe("SNAPSHOT_NOT_FOUND");
  });
});

it("a reader of another handle follows the writer when asked to", async () => {
  const place = scratch();
  await using lake = await RuLake.open(place);
  const docs = await lake.collection("docs");
  await docs.upsert([{ id: "a", vector: [1] }]);
  await using reader = await RuLake.open(place, { readOnly: true });
  const view = await reader.collection("docs");
  await docs.upsert([{ id: "b", vector: [2] }]);
  expect(view.size).toBe(1);
  expect(await view.refresh()).toBe(true);
  expect(await view.refresh()).toBe(false);
  await docs.compact();
  await docs.upsert([{ id: "c", vector: [3] }]);
  expect(await view.refresh()).toBe(true);
  expect(ids(await view.search([1], { k: 9 }))).toEqual(["a", "b", "c"]);
  expect(await docs.refresh()).toBe(false);
});

describe("scanBatches()", () => {
  it("yields Arrow record batches of the columns asked for", async () => {
    const docs = await memoryCollection<{ n: number }>();
    await docs.upsert(
      Array.from({ length: 2500 }, (_, n) => ({
        id: `r${n}`,
        vector: [n, 1, 2],
        text: `t${n}`,
        metadata: { n },
      })),
    );
    let rows = 0;
    for await (const batch of docs.scanBatches<RecordBatch>({
      include: ["vector", "metadata"],
      filter: { n: { $gte: 100 } },
      chunkSize: 700,
    })) {
      expect(batch.schema.fields.map((field) => field.name)).toEqual(["id", "metadata", "vector"]);
      expect(batch.numRows).toBeLessThanOrEqual(700);
      const n = rows + 100;
      expect(batch.getChild("id")?.get(0)).toBe(`r${n}`);
      expect(JSON.parse(String(batch.getChild("metadata")?.get(0)))).toEqual({ n });
      expect([...(batch.getChild("vector")?.get(0) ?? [])]).toEqual([n, 1, 2]);
      rows += batch.numRows;
    }
    expect(rows).toBe(2400);
  });

  it("makes a batch when it is asked for, and can be left or stopped", async () => {
    const docs = await memoryCollection();
    await docs.upsert(Array.from({ length: 50 }, (_, i) => ({ id: `r${i}`, vector: [i] })));
    for await (const batch of docs.scanBatches({ chunkSize: 10 })) {
      expect(batch.numRows).toBe(10);
      break;
    }
    const controller = new AbortController();
    const scan = docs.scanBatches({ chunkSize: 10, signal: controller.signal });
    await scan.next();
    controller.abort(new Error("enough"));
    await expect(scan.next()).rejects.toThrow("enough");
  });

  it.runIf(process.platform === "linux")("says what to install", async () => {
    const work = `
      import { register } from "node:module";
      const hooks = "export const resolve = (name, context, next) => { if (name === 'apache-arrow')"
        + " throw Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' }); return next(name, context); }";
      register("data:text/javascript," + encodeURIComponent(hooks));
      process.chdir("/");
      const { RuLake } = await import("rulake");
      const lake = await RuLake.open({ memory: true });
      const docs = await lake.collection("docs");
      await docs.upsert([{ id: "a" }]);
      const error = await docs.scanBatches().next().catch((error) => error);
      console.log(JSON.stringify([error.code, error.hint]));
    `;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", work], { encoding: "utf8" });
    expect(JSON.parse(output)).toEqual(["ARROW_NOT_FOUND", "npm i apache-arrow"]);
  });
});

it("explain() tells what a search looked at", async () => {
  await using lake = await RuLake.open(scratch());
  const docs = await lake.collection<{ lang: string }>("docs");
  const vectors = noise(8 * 300);
  const record = (i: number) => ({
    id: `r${i}`,
    vector: vectors.subarray(i * 8, i * 8 + 8),
    metadata: { lang: i % 3 === 0 ? "de" : "en" },
  });
  await docs.upsert(Array.from({ length: 200 }, (_, i) => record(i)));
  await docs.compact();
  await docs.upsert(Array.from({ length: 90 }, (_, i) => record(200 + i)));
  await docs.delete({ ids: ["r0", "r1"] });
  const query = vectors.subarray(8 * 30, 8 * 31);
  const plan = await docs.explain(query, { filter: { lang: "de" }, k: 5 });
  expect(plan).toMatchObject({ records: 288, matching: 96, k: 5, hits: 5 });
  expect(plan.parts).toMatchObject([
    {
      records: 198,
      deleted: 2,
      vectors: 198,
      matching: 66,
      index: "FlatF32Index",
      skipped: false,
      search: { exactScan: true, rowsReranked: 66 },
    },
    {
      part: "memory",
      records: 90,
      deleted: 0,
      vectors: 90,
      matching: 30,
      skipped: false,
      search: { rowsReranked: 30 },
    },
  ]);
  expect(String(plan)).toMatch(
    /96 of 288 records, 2 parts; 5 hits of 5 wanted\n {2}\w{26}: 198 records, 2 deleted, 66 match; .*: 66 compared in/,
  );
  const none = await docs.explain(query, { filter: { lang: "fr" } });
  expect([none.matching, none.hits, none.parts.every((part) => part.skipped)]).toEqual([0, 0, true]);
  await expect(docs.explain([1, 2])).rejects.toMatchObject({ code: "DIMENSION_MISMATCH" });
  await expect(docs.explain(query, { k: 0 })).rejects.toMatchObject({ code: "INVALID_K" });
});
