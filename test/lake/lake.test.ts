import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { LakeError, RuLake } from "rulake";
import { describe, expect, it } from "vitest";
import { failure, memoryCollection, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

describe("a lake", () => {
  it("lists and drops its collections", async () => {
    await using lake = await RuLake.open(scratch());
    expect(await lake.list()).toEqual([]);
    const docs = await lake.collection("docs");
    await lake.collection("Memory-2.v1_x");
    expect(await lake.list()).toEqual(["Memory-2.v1_x", "docs"]);
    await docs.upsert([{ id: "a", vector: [1] }]);
    const { path: where, collections } = await lake.stats();
    expect(where).toBe(lake.path);
    expect(collections.map(({ name, records }) => [name, records])).toEqual([
      ["Memory-2.v1_x", 0],
      ["docs", 1],
    ]);
    expect(await lake.drop("docs")).toBe(true);
    expect(await lake.drop("docs")).toBe(false);
    expect((await failure(docs.count())).code).toBe("CLOSED");
    expect((await lake.collection("docs")).size).toBe(0);
  });

  it.each([false, true])(
    "counts what is there while collections come and go, read-only: %s",
    async (readOnly) => {
      const place = scratch();
      await using writer = await RuLake.open(place);
      const kept = await writer.collection("kept");
      await kept.upsert([{ id: "a", vector: [1] }]);
      await using lake = readOnly ? await RuLake.open(place, { readOnly }) : writer;
      let isDone = false;
      const counting = (async () => {
        const seen = new Set<string>();
        while (!isDone) for (const { name } of (await lake.stats()).collections) seen.add(name);
        return seen;
      })();
      for (let round = 0; round < 100; round++) {
        await writer.collection("passing");
        await writer.drop("passing");
        expect(await writer.list()).toEqual(["kept"]);
      }
      isDone = true;
      expect(await counting).toContain("kept");
      expect(await writer.list()).toEqual(["kept"]);
    },
  );

  it.each(["", "../x", "a/b", "a\\b", ".x", "-x", "x.", "con", "LOCK", "ä", "x".repeat(129), "a b"])(
    "refuses the name %j",
    async (name) => {
      await using lake = await RuLake.open({ memory: true });
      expect((await failure(lake.collection(name))).code).toBe("INVALID_NAME");
      expect((await failure(lake.drop(name))).code).toBe("INVALID_NAME");
    },
  );

  it("keeps the shape of a collection", async () => {
    const place = scratch();
    const first = await RuLake.open(place);
    const docs = await first.collection("docs", { metric: "l2", index: "RabitqPlusIndex" });
    await docs.upsert([{ id: "a", vector: [3, 4] }]);
    expect((await docs.stats()).index).toBe("RabitqPlusIndex");
    await first.close();
    await using lake = await RuLake.open(place);
    const again = await lake.collection("docs");
    expect([again.metric, again.dimensions]).toEqual(["l2", 2]);
    expect((await again.search([0, 0]))[0]).toMatchObject({ distance: 5, score: 1 / 6 });
    for (const options of [{ metric: "cosine" }, { dimensions: 3 }, { index: "FlatF32Index" }] as const) {
      const error = await failure(lake.collection("docs", options));
      expect(error.code).toBe("COLLECTION_MISMATCH");
      expect(error.hint).toContain("lake.replace()");
      expect(error.context).toMatchObject({ collection: "docs", option: Object.keys(options)[0] });
    }
    await lake.collection("docs", { metric: "l2", dimensions: 2, index: "RabitqPlusIndex" });
  });

  it("checks the options of a collection", async () => {
    await using lake = await RuLake.open({ memory: true });
    const code = async (options: object) => (await failure(lake.collection("docs", options))).code;
    expect(await code({ dimension: 3 })).toBe("UNKNOWN_OPTION");
    expect(await code({ dimensions: 0 })).toBe("INVALID_OPTION");
    expect(await code({ dimensions: 8193 })).toBe("INVALID_OPTION");
    expect(await code({ metric: "dot" })).toBe("INVALID_OPTION");
    expect(await code({ index: "RabitqIndex" })).toBe("INVALID_OPTION");
    const meant = async (options: object) => (await failure(lake.collection("docs", options))).message;
    expect(await meant({ metric: "cosin" })).toContain("did you mean 'cosine'?");
    expect(await meant({ index: "RabitqPlus" })).toContain("did you mean 'RabitqPlusIndex'?");
    expect(await meant({ dimension: 3 })).toContain("did you mean 'dimensions'?");
    expect((await lake.collection("fixed", { dimensions: 3 })).dimensions).toBe(3);
  });

  it("is shared by the handles of a process and closes with the last", async () => {
    const place = scratch();
    const first = await RuLake.open(place);
    const second = await RuLake.open(path.join(place, "..", path.basename(place)));
    const [a, b] = [await first.collection("docs"), await second.collection("docs")];
    await a.upsert([{ id: "a", vector: [1] }]);
    expect(b.size).toBe(1);
    await first.close();
    await first.close();
    expect((await failure(a.get(["a"]))).code).toBe("CLOSED");
    expect((await failure(first.list())).code).toBe("CLOSED");
    expect(() => a.size).toThrow(/closed/);
    await b.upsert([{ id: "b", vector: [1] }]);
    await second.close();
    const third = await RuLake.open(place);
    expect((await third.collection("docs")).size).toBe(2);
    await third.close();
  });

  it("lets go of a collection without closing it for others", async () => {
    await using lake = await RuLake.open({ memory: true });
    const first = await lake.collection("docs");
    const second = await lake.collection("docs");
    await first.upsert([{ id: "a", vector: [1] }]);
    await first.close();
    expect((await failure(first.upsert([]))).code).toBe("CLOSED");
    expect((await failure(first.scan().next())).code).toBe("CLOSED");
    expect(second.size).toBe(1);
  });

  it("keeps lakes in memory apart", async () => {
    const [one, other] = [await memoryCollection(), await memoryCollection()];
    await one.upsert([{ vector: [1] }]);
    expect(other.size).toBe(0);
  });

  it("opens read-only beside the writer and shows what was there", async () => {
    const place = scratch();
    expect((await failure(RuLake.open(place, { readOnly: true }))).code).toBe("FILE_NOT_FOUND");
    mkdirSync(place);
    expect((await failure(RuLake.open(place, { readOnly: true }))).code).toBe("FILE_NOT_FOUND");
    await using writer = await RuLake.open(place);
    const docs = await writer.collection("docs");
    await docs.upsert([{ id: "a", vector: [1, 2], text: "x" }]);
    await using reader = await RuLake.open(place, { readOnly: true });
    const read = await reader.collection("docs");
    await docs.upsert([{ id: "b", vector: [1, 2] }]);
    await docs.compact();
    expect(read.size).toBe(1);
    expect(await read.search([1, 2])).toMatchObject([{ id: "a", text: "x" }]);
    for (const work of [
      () => read.upsert([{ vector: [1, 2] }]),
      () => read.delete({ all: true }),
      () => read.compact(),
      () => reader.drop("docs"),
    ]) {
      expect((await failure(work())).code).toBe("READ_ONLY");
    }
    const missing = await failure(reader.collection("dcs"));
    expect(missing.code).toBe("COLLECTION_NOT_FOUND");
    expect(missing.message).toContain("did you mean 'docs'?");
  });

  it("tells readers and handles that a collection was dropped", async () => {
    const place = scratch();
    await using writer = await RuLake.open(place);
    const docs = await writer.collection("docs");
    await docs.upsert([{ id: "a", vector: [1, 2] }]);
    await using reader = await RuLake.open(place, { readOnly: true });
    const read = await reader.collection("docs");
    await writer.drop("docs");
    for (const call of [
      () => docs.count(),
      () => docs.search([1, 2]),
      () => docs.upsert([]),
      () => read.refresh(),
      () => read.count(),
      () => read.search([1, 2]),
    ]) {
      const error = await failure(call());
      expect([error.code, error.message]).toEqual(["CLOSED", expect.stringContaining("dropped")]);
      expect(error.hint).toContain("lake.list()");
    }
    expect((await failure(reader.collection("docs"))).code).toBe("COLLECTION_NOT_FOUND");
  });

  it("says only errors of its own when a collection goes during a call", async () => {
    await using lake = await RuLake.open({ memory: true });
    const codes = new Set<string>();
    for (let round = 0; round < 100; round++) {
      const docs = await lake.collection("docs", { dimensions: 2 });
      const { snapshot } = await docs.upsert([{ id: "a", vector: [1, 2] }]);
      const calls = Array.from({ length: 4 }, () => [
        docs.snapshot(),
        docs.at(snapshot),
        docs.get(["a"]),
        docs.count(),
        lake.session((s) => s.collection("docs").count()),
        lake.session((s) => s.collection("docs").snapshot()),
      ]).flat();
      const settled = Promise.allSettled(calls);
      if (round % 2 === 0) await lake.drop("docs");
      else await lake.replace("docs", {}, () => {});
      for (const outcome of await settled) {
        if (outcome.status === "fulfilled") continue;
        expect(LakeError.isInstance(outcome.reason), outcome.reason.stack).toBe(true);
        expect(outcome.reason.hint).toEqual(expect.any(String));
        codes.add(outcome.reason.code);
      }
    }
    expect([...codes]).toContain("CLOSED");
  });

  it("says what to do about a handle that is closed", async () => {
    const lake = await RuLake.open({ memory: true });
    const docs = await lake.collection("docs");
    const past = await docs.snapshot();
    await past.close();
    expect((await failure(past.count())).hint).toContain("Collection.snapshot()");
    await docs.close();
    expect((await failure(docs.count())).hint).toContain("lake.collection()");
    const others = await lake.collection("docs");
    await lake.close();
    for (const call of [lake.list(), others.count()]) {
      const error = await failure(call);
      expect([error.code, error.hint]).toEqual(["CLOSED", expect.stringContaining("RuLake.open()")]);
    }
  });

  it("is made only of a missing or empty directory", async () => {
    const place = scratch();
    mkdirSync(place);
    writeFileSync(path.join(place, "thesis.tex"), "");
    const error = await failure(RuLake.open(place));
    expect(error.code).toBe("NOT_A_LAKE");
    expect(error.message).toContain("thesis.tex");
  });

  it("refuses locations it does not know", async () => {
    const code = async (location: unknown, options?: object) =>
      (await failure(RuLake.open(location as string, options))).code;
    expect(await code("")).toBe("INVALID_ARGUMENT");
    expect(await code(":memory:")).toBe("INVALID_ARGUMENT");
    expect((await failure(RuLake.open(":memory:"))).hint).toContain("{ memory: true }");
    expect(await code(7)).toBe("INVALID_ARGUMENT");
    expect(await code({ memory: false })).toBe("INVALID_ARGUMENT");
    expect(await code({ memory: true, path: "x" })).toBe("UNKNOWN_OPTION");
    expect(await code({ memory: true }, { readOnly: true })).toBe("INVALID_OPTION");
    expect(await code("s3://bucket/prefix")).toBe("UNSUPPORTED_LOCATION");
    expect(await code("x", { readonly: true })).toBe("UNKNOWN_OPTION");
  });
});
