import { type Collection, type Filter, RuLake } from "rulake";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failure, ids } from "./scratch.js";

let lake: RuLake;
let docs: Collection;

const records: Record<string, Record<string, unknown>> = {
  full: { n: 5, s: "Größe", b: true, nil: null, tags: ["red", "blue"], o: { in: { x: 1 } }, at: new Date(0) },
  dotted: { "o.in": { x: 2 }, n: 5.5, s: "", tags: [], list: [{ x: 1 }] },
  text: { n: "5", s: "z😀" },
  none: {},
};

beforeAll(async () => {
  lake = await RuLake.open({ memory: true });
  docs = await lake.collection("docs");
  await docs.upsert(
    Object.entries(records).map(([id, metadata], i) => ({
      id,
      metadata,
      vector: [1, i],
      text: `Text of ${id}`,
    })),
  );
});
afterAll(() => lake.close());

const cases: [object, string[]][] = [
  [{}, ["full", "dotted", "text", "none"]],
  [{ n: 5 }, ["full"]],
  [{ n: { $eq: "5" } }, ["text"]],
  [{ n: { $ne: 5 } }, ["dotted", "text"]],
  [{ n: { $gt: 5 } }, ["dotted"]],
  [{ n: { $gte: 5, $lt: 5.5 } }, ["full"]],
  [{ n: { $lte: "6" } }, ["text"]],
  [{ s: { $gt: "z\uffff" } }, ["text"]],
  [{ n: { $in: [5, "5", null] } }, ["full", "text"]],
  [{ n: { $nin: [5] } }, ["dotted", "text"]],
  [{ nil: null }, ["full"]],
  [{ nil: { $exists: true } }, ["full"]],
  [{ n: { $exists: false } }, ["none"]],
  [{ s: { $isEmpty: true } }, ["dotted", "none"]],
  [{ s: { $isEmpty: false } }, ["full", "text"]],
  [{ tags: { $isEmpty: true } }, ["dotted", "text", "none"]],
  [{ tags: { $contains: "red" } }, ["full"]],
  [{ tags: { $containsAny: ["green", "blue"] } }, ["full"]],
  [{ tags: { $containsAll: ["red", "blue"] } }, ["full"]],
  [{ tags: { $containsAll: ["red", "green"] } }, []],
  [{ tags: ["red", "blue"] }, ["full"]],
  [{ tags: "red" }, []],
  [{ s: { $contains: "röß" } }, ["full"]],
  [{ s: { $startsWith: "Gr" } }, ["full"]],
  [{ s: { $textMatch: "GRÖSSE" } }, []],
  [{ s: { $textMatch: "gRÖ" } }, ["full"]],
  [{ "o.in.x": 1 }, ["full"]],
  [{ "o.in.x": 2 }, ["dotted"]],
  [{ "list.x": 1 }, []],
  [{ o: { in: { x: 1 } } }, ["full"]],
  [{ at: new Date(0) }, ["full"]],
  [{ at: { $lt: new Date() } }, ["full"]],
  [{ $not: { n: { $gte: 5 } } }, ["text", "none"]],
  [{ n: { $not: { $gte: 5 } } }, ["text", "none"]],
  [{ $or: [{ n: 5 }, { n: "5" }] }, ["full", "text"]],
  [{ $and: [{ n: { $exists: true } }, { b: { $ne: false } }] }, ["full"]],
  [{ $or: [] }, []],
  [{ $and: [] }, ["full", "dotted", "text", "none"]],
  [{ $id: { $in: ["none", "text"] } }, ["text", "none"]],
  [{ $text: { $textMatch: "OF D" } }, ["dotted"]],
];

describe("a filter", () => {
  it.each(cases)("%j", async (filter, expected) => {
    const found = await docs.search([1, 0], { k: 10, filter: filter as Filter });
    expect(ids(found).sort()).toEqual([...expected].sort());
    expect(await docs.count(filter as Filter)).toBe(expected.length);
    const scanned: string[] = [];
    for await (const record of docs.scan({ filter: filter as Filter })) scanned.push(record.id);
    expect(scanned).toEqual(expected);
  });

  it("is applied before the best are chosen", async () => {
    const many = await lake.collection("many");
    await many.upsert(
      Array.from({ length: 1000 }, (_, i) => ({
        id: `r${i}`,
        vector: [1000 - i, i],
        metadata: { last: i >= 997 },
      })),
    );
    expect(ids(await many.search([1, 0], { k: 3, filter: { last: true } }))).toEqual([
      "r997",
      "r998",
      "r999",
    ]);
  });

  it("finds what was changed since it was asked for last", async () => {
    const changed = await lake.collection("changed");
    const filter = { s: 1 };
    const left = async () => {
      const scanned: string[] = [];
      for await (const record of changed.scan({ filter })) scanned.push(record.id);
      return [await changed.count(filter), ids(await changed.search([1, 0], { filter })), scanned];
    };
    const record = { id: "x", vector: [1, 0], metadata: { s: 1 } };
    await changed.upsert([record]);
    expect(await left()).toEqual([1, ["x"], ["x"]]);
    expect((await changed.delete({ filter })).deleted).toBe(1);
    expect(await left()).toEqual([0, [], []]);
    await lake.session(async (s) => {
      const mine = s.collection("changed");
      expect(await mine.count(filter)).toBe(0);
      await mine.upsert([record]);
      expect(await mine.count(filter)).toBe(1);
      expect((await mine.delete({ filter })).deleted).toBe(1);
      expect(await mine.count(filter)).toBe(0);
      await mine.upsert([{ ...record, id: "y" }]);
    });
    expect(await left()).toEqual([1, ["y"], ["y"]]);
    // Writes under way at once share a commit.
    for (let round = 0; round < 100; round++) {
      await changed.upsert([record]);
      const writes = [changed.upsert([{ id: "busy" }]), changed.delete({ filter })];
      await new Promise(setImmediate);
      writes.push(changed.upsert([{ ...record, id: "late" }]), changed.delete({ filter }));
      await Promise.all(writes);
      const all = [];
      for await (const { id, metadata } of changed.scan()) if (metadata?.s === 1) all.push(id);
      expect(await changed.count(filter)).toBe(all.length);
      expect(ids(await changed.search([1, 0], { filter })).sort()).toEqual(all.sort());
    }
  });

  it("compares numbers exactly, and halves of surrogate pairs as they are stored", async () => {
    const numbers = Array.from({ length: 400 }, (_, i) => Math.sin(i + 1) * 10 ** ((i % 40) - 20));
    const exact = await lake.collection("exact");
    await exact.upsert(numbers.map((x, i) => ({ id: `${i}`, metadata: { x } })));
    for (let round = 0; round < 2; round++) {
      for (const [i, x] of numbers.entries()) {
        expect(ids(await exact.get([`${i}`]))).toEqual([`${i}`]);
        expect(await exact.count({ x }), `${x}`).toBe(1);
        expect(await exact.count({ x: { $gte: x, $lte: x } }), `${x}`).toBe(1);
      }
      await exact.compact();
    }
    const title = "cut \ud83d";
    const path = "C:\\ud83d";
    await exact.upsert([{ id: "cut", metadata: { title, path } }]);
    expect(await exact.count({ title })).toBe(1);
    expect(await exact.count({ path })).toBe(1);
    expect(await exact.count({ title: { $startsWith: "cut \ud83d" } })).toBe(1);
  });

  const wrong: [unknown, string][] = [
    [{ a: { $gtee: 1 } }, "did you mean '$gte'?"],
    [{ $orr: [] }, "did you mean '$or'?"],
    [{ $gt: 1 }, "belongs below a field"],
    [{ a: { $in: 1 } }, "a.$in: expected an array"],
    [{ a: { $gt: true } }, "expected a number or a string"],
    [{ a: { $exists: "yes" } }, "expected true or false"],
    [{ a: { $gt: 1, b: 1 } }, "cannot stand in one object"],
    [{ a: Number.NaN }, "NaN cannot be compared"],
    [{ a: undefined }, "undefined is no value"],
    [{ a: { $in: [1n] } }, "cannot be stored"],
    [{ a: /x/ }, "is no JSON value"],
    [[], "expected an object"],
    ["a = 1", "expected an object"],
    [null, "expected an object"],
  ];

  it("that is large is understood in the same way", async () => {
    const large = await lake.collection("large");
    const title = 'half \ud83d, "quoted"';
    await large.upsert([
      ...Array.from({ length: 100 }, (_, i) => ({
        id: `r${i}`,
        vector: [100 - i, i],
        metadata: { i, title },
      })),
      { id: "day", vector: [1, 1], metadata: { i: new Date(7), title } },
    ]);
    const others = Array.from({ length: 20_000 }, (_, i) => i + 1000);
    const values = [3, ...others.slice(0, 9999), 5, new Date(7), ...others.slice(9999), 7];
    const wanted = ["day", "r3", "r5", "r7"];
    const long = "x".repeat(100_000);
    const cases: [Filter, string[]][] = [
      [{ i: { $in: values } }, wanted],
      [{ i: { $in: values }, title, $id: { $ne: long } }, wanted],
      [{ $or: [{ i: { $in: values } }, { i: 9, title }, { i: { $in: others } }] }, [...wanted, "r9"]],
      [{ $or: values.slice(8000, 12_000).map((i) => ({ i, title: { $exists: true } })) }, ["day", "r5"]],
      [{ $or: values.slice(-9000).map((value) => ({ i: { $in: [value, 3] } })) }, ["r3", "r7"]],
      [
        { $and: [{ $not: { i: { $in: others } } }, { i: { $nin: values } }, { i: { $lt: 5 } }] },
        ["r0", "r1", "r2", "r4"],
      ],
    ];
    for (const [filter, expected] of cases) {
      expect(await large.count(filter)).toBe(expected.length);
      const query = Float32Array.of(1, 1);
      const searching = large.search(query, { k: 200, filter });
      query.fill(Number.NaN);
      expect(ids(await searching).sort()).toEqual([...expected].sort());
      const scanned: string[] = [];
      for await (const record of large.scan({ filter })) scanned.push(record.id);
      expect(scanned.sort()).toEqual([...expected].sort());
      expect((await large.explain([1, 1], { filter })).matching).toBe(expected.length);
      const [found] = await large.searchBatch([[1, 1]], { k: 200, filter });
      expect(found).toHaveLength(expected.length);
    }
    const around: Record<string, unknown> = { i: { $in: values } };
    around.$and = [around];
    const wrong: [unknown, string][] = [
      [{ i: { $in: [...others, Number.NaN] } }, "'20000': NaN cannot be compared"],
      [{ i: { $in: others }, j: undefined }, "'j': undefined is no value"],
      [{ i: { $in: [...others, undefined] } }, "'20000': undefined is no value"],
      [{ $or: [...others.slice(9000).map((i) => ({ i })), { i: 1n }] }, "'i': a bigint cannot be stored"],
      [{ i: { $in: [...others, { x: { $gt: 1 } }], $gtee: 1 } }, "did you mean '$gte'?"],
      [around, "it holds itself"],
    ];
    for (const [filter, text] of wrong) {
      for (const call of [
        () => large.search([1, 1], { filter: filter as Filter }),
        () => large.count(filter as Filter),
      ]) {
        const error = await failure(call());
        expect([error.code, error.message]).toEqual(["INVALID_FILTER", expect.stringContaining(text)]);
      }
    }
    expect((await large.delete({ filter: { i: { $in: values } } })).deleted).toBe(4);
  });

  it.each(wrong)("that is wrong says so: %o", async (filter, text) => {
    const error = await failure(docs.search([1, 0], { filter: filter as Filter }));
    expect(error.code).toBe("INVALID_FILTER");
    expect(error.message).toContain(text);
    expect((await failure(docs.count(filter as Filter))).code).toBe("INVALID_FILTER");
  });
});
