import { readdirSync } from "node:fs";
import { RuLake } from "rulake";
import { describe, expect, it } from "vitest";
import { failure, ids, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

async function all(lake: RuLake, name: string): Promise<string[]> {
  const records = [];
  for await (const record of (await lake.collection(name)).scan()) records.push(record);
  return ids(records);
}

describe("replacing a collection", () => {
  it("puts the new one in its place when it is complete", async () => {
    const place = scratch();
    for (const location of [place, { memory: true } as const]) {
      await using lake = await RuLake.open(location);
      const docs = await lake.collection("docs", { metadataIndex: ["n"] });
      await docs.upsert([{ id: "a", vector: [1, 0], metadata: { n: 1 } }]);
      const options = { metric: "l2", metadataIndex: ["lang", "n"] } as const;
      const result = await lake.replace("docs", options, async (next) => {
        await next.upsert(docs.scan({ include: ["metadata"] }));
        await next.upsert([{ id: "b", vector: [1, 2, 3] }]);
        expect(await all(lake, "docs")).toEqual(["a"]);
        return "done";
      });
      expect(result).toBe("done");
      expect((await failure(docs.count())).code).toBe("CLOSED");
      const now = await lake.collection("docs");
      expect([now.metric, now.dimensions, now.metadataIndex]).toEqual(["l2", 3, ["lang", "n"]]);
      expect(await all(lake, "docs")).toEqual(["a", "b"]);
      expect(await now.count({ n: 1 })).toBe(1);
    }
    await using again = await RuLake.open(place);
    expect(await all(again, "docs")).toEqual(["a", "b"]);
    expect(readdirSync(place).sort()).toEqual(["LOCK", "docs", "rulake.json"]);
  });

  it("leaves the old one when the function fails", async () => {
    const place = scratch();
    await using lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "a", vector: [1, 0] }]);
    const failing = lake.replace("docs", {}, async (next) => {
      await next.upsert([{ id: "b", vector: [1] }]);
      throw new Error("enough");
    });
    await expect(failing).rejects.toThrow("enough");
    await docs.upsert([{ id: "c", vector: [0, 1] }]);
    expect(await all(lake, "docs")).toEqual(["a", "c"]);
    expect(readdirSync(place).sort()).toEqual(["LOCK", "docs", "rulake.json"]);
  });

  it("is refused where it cannot be", async () => {
    const place = scratch();
    const lake = await RuLake.open(place);
    await lake.collection("docs");
    const code = async (name: string, options: object) =>
      (await failure(lake.replace(name, options, () => undefined))).code;
    expect(await code(".x", {})).toBe("INVALID_NAME");
    expect(await code("DOCS", {})).toBe("INVALID_NAME");
    expect(await code("docs", { metric: "dot" })).toBe("INVALID_OPTION");
    expect(await code("docs", { metadataIndex: "n" })).toBe("INVALID_OPTION");
    expect(await code("docs", { metadataIndex: [1] })).toBe("INVALID_OPTION");
    expect(await code("docs", { metadataIndex: [""] })).toBe("INVALID_OPTION");
    expect(await code("docs", undefined as never)).toBe("INVALID_OPTION");
    expect(await code("docs", (() => undefined) as never)).toBe("INVALID_OPTION");
    expect((await failure(lake.replace("docs", {}, undefined as never))).code).toBe("INVALID_ARGUMENT");
    expect((await failure(lake.replace("docs", undefined as never, () => 1))).hint).toContain("{}");
    await lake.close();
    expect(await code("docs", {})).toBe("CLOSED");
    await using reader = await RuLake.open(place, { readOnly: true });
    expect((await failure(reader.replace("docs", {}, () => undefined))).code).toBe("READ_ONLY");
  });
});

describe("the paths that are indexed", () => {
  it("are those a collection was made with", async () => {
    const place = scratch();
    await using lake = await RuLake.open(place);
    const docs = await lake.collection("docs", { metadataIndex: ["b", "a.b", "b"] });
    expect(docs.metadataIndex).toEqual(["a.b", "b"]);
    expect((await lake.collection("all")).metadataIndex).toBeUndefined();
    const other = await failure(lake.collection("docs", { metadataIndex: ["b"] }));
    expect(other).toMatchObject({
      code: "COLLECTION_MISMATCH",
      context: { option: "metadataIndex", stored: "[a.b, b]", asked: "[b]" },
    });
    await docs.upsert([
      { id: "1", metadata: { a: { b: 1, c: 2 }, b: "x" } },
      { id: "2", metadata: { a: { b: 2, c: 2 }, c: "x" } },
    ]);
    for (const compact of [false, true]) {
      if (compact) await docs.compact();
      expect(await docs.count({ "a.b": { $gte: 2 } })).toBe(1);
      expect(await docs.count({ "a.c": 2 })).toBe(2);
      expect(await docs.count({ c: { $exists: true } })).toBe(1);
    }
  });
});
