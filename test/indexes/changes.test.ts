import { FlatF32Index, RabitqIndex, RabitqPlusIndex } from "rulake";
import { describe, expect, it } from "vitest";
import { classes, clustered, exactClasses, nearest, randomNumbers, row } from "./dataset.js";

const dimensions = 48;
const vectors = clustered(600, dimensions);
const at = (i: number) => row(vectors, dimensions, i);
const rows = (from: number, to: number) => vectors.subarray(from * dimensions, to * dimensions);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe.each(Object.entries(classes))("%s", (name, Index) => {
  const keepsRows = name in exactClasses;

  it("finds added rows and not deleted ones", async () => {
    const index = await Index.build(rows(0, 400), { dimensions });
    await index.add(range(400, 600), rows(400, 600));
    expect(index.size).toBe(600);
    const [first, second] = await index.search(at(555), 2);
    expect(first?.id).toBe(555);
    expect(await index.delete([555, 555, 12345])).toBe(1);
    expect(index.size).toBe(599);
    expect(index.has(555)).toBe(false);
    const [now] = await index.search(at(555), 2);
    expect(now).toEqual(second);
    await index.add([555], at(555));
    expect((await index.search(at(555), 1))[0]).toEqual(first);
  });

  it("still finds k after the nearest were deleted", async () => {
    const index = await Index.build(vectors, { dimensions });
    for (let round = 0; round < 3; round++) {
      const hits = await index.search(at(17), 10);
      expect(hits).toHaveLength(10);
      expect(await index.delete(hits.slice(0, 3).map((h) => h.id))).toBe(3);
      const left = await index.search(at(17), 10);
      expect(left).toHaveLength(10);
      expect(left.slice(0, 7)).toEqual(hits.slice(3));
    }
  });

  it("replaces a row that is added again, which then counts as last", async () => {
    const index = await Index.build(rows(0, 100), { dimensions });
    await index.add([7], at(500));
    expect(index.size).toBe(100);
    expect((await index.search(at(500), 1))[0]?.id).toBe(7);
    if (keepsRows) {
      expect(index.get(7)).toEqual(at(500));
      expect([...index].at(-1)?.[0]).toBe(7);
    }
    // Equal to row 3, added later: behind it.
    await index.add([8], at(3));
    expect((await index.search(at(3), 2)).map((h) => h.id)).toEqual([3, 8]);
    await index.add([3], at(3));
    expect((await index.search(at(3), 2)).map((h) => h.id)).toEqual([8, 3]);
  });

  it("takes ids of every size", async () => {
    const ids = [2 ** 32 + 5, -9, Number.MAX_SAFE_INTEGER, 0, Number.MIN_SAFE_INTEGER, 2 ** 31];
    const index = await Index.build(rows(0, 6), { dimensions, ids });
    for (const [i, id] of ids.entries()) {
      expect((await index.search(at(i), 1))[0]?.id).toBe(id);
      expect(index.has(id)).toBe(true);
    }
    expect(
      (await index.search(at(2), 6, { filterIds: [Number.MAX_SAFE_INTEGER, -9] })).map((h) => h.id),
    ).toEqual(expect.arrayContaining([Number.MAX_SAFE_INTEGER, -9]));
    expect(await index.delete([Number.MIN_SAFE_INTEGER])).toBe(1);
    expect(index.size).toBe(5);
  });

  it.each([
    ["BigUint64Array", BigUint64Array.of(1n, 2n ** 40n, 3n)],
    ["BigInt64Array", BigInt64Array.of(1n, 2n ** 40n, 3n)],
    ["Float64Array", Float64Array.of(1, 2 ** 40, 3)],
  ])("takes ids as %s", async (_, ids) => {
    const index = await Index.build(rows(0, 3), { dimensions, ids });
    expect((await index.search(at(1), 1))[0]?.id).toBe(2 ** 40);
    await index.add(ids.subarray(1, 2), at(9));
    expect(await index.delete(ids)).toBe(3);
  });

  it("applies changes in the order of the calls, awaited or not", async () => {
    const index = await Index.build(rows(0, 10), { dimensions });
    const changes = [
      index.add([100], at(20)),
      index.delete([100]),
      index.add(range(1000, 1500), rows(0, 500)),
      index.add([100], at(30)),
      index.delete(range(1000, 1500)),
    ];
    await Promise.all(changes);
    expect(index.size).toBe(11);
    expect((await index.search(at(30), 1))[0]?.id).toBe(100);
  });

  it("agrees with a fresh index after many random changes", async () => {
    const random = randomNumbers(9);
    const index = await Index.build(rows(0, 50), { dimensions, metric: "l2" });
    const model = new Map<number, number>(range(0, 50).map((i) => [i, i]));
    for (let step = 0; step < 60; step++) {
      if (random() < 0.6) {
        const ids = [
          ...new Set(range(0, 1 + Math.floor(random() * 20)).map(() => Math.floor(random() * 300))),
        ];
        const sources = ids.map(() => Math.floor(random() * 600));
        const matrix = new Float32Array(ids.length * dimensions);
        for (const [i, source] of sources.entries()) matrix.set(at(source), i * dimensions);
        await index.add(ids, matrix);
        for (const [i, id] of ids.entries()) {
          model.delete(id);
          model.set(id, sources[i] ?? 0);
        }
      } else {
        const ids = range(0, 8).map(() => Math.floor(random() * 300));
        const there = new Set(ids.filter((id) => model.has(id)));
        expect(await index.delete(ids)).toBe(there.size);
        for (const id of there) model.delete(id);
      }
    }
    expect(index.size).toBe(model.size);
    const left = [...model];
    const matrix = new Float32Array(left.length * dimensions);
    for (const [i, [, source]] of left.entries()) matrix.set(at(source), i * dimensions);
    if (keepsRows) {
      expect([...index]).toEqual(left.map(([id, source]) => [id, at(source).slice()]));
      const truth = nearest(matrix, at(42), 10, "l2").map((t) => left[t.id]?.[0]);
      expect((await index.search(at(42), 10, { recallTarget: 1 })).map((h) => h.id)).toEqual(truth);
    }
    const all = (await index.search(at(42), 1000)).map((h) => h.id);
    expect(all.sort((a, b) => a - b)).toEqual(left.map(([id]) => id).sort((a, b) => a - b));
  });
});

describe.each(Object.entries(exactClasses))("rows of %s", (_, Index) => {
  it("come back as they were given", async () => {
    const index = await Index.build(rows(0, 300), { dimensions, ids: range(5, 305) });
    expect(index.get(5)).toEqual(at(0));
    expect(index.get(4)).toBeUndefined();
    const copy = index.get(6);
    copy?.fill(0);
    expect(index.get(6)).toEqual(at(1));
  });

  it("iterate in order over the moment the loop began", async () => {
    const index = await Index.build(vectors, { dimensions });
    const seen: number[] = [];
    const iterator = index[Symbol.iterator]();
    await index.delete(range(0, 600));
    for (const [id, vector] of { [Symbol.iterator]: () => iterator }) {
      expect(vector).toEqual(at(id));
      seen.push(id);
    }
    expect(seen).toEqual(range(0, 600));
    expect([...index]).toEqual([]);
  });

  it("survive close while a loop runs", async () => {
    const index = await Index.build(vectors, { dimensions });
    let count = 0;
    for (const [id] of index) {
      if (id === 3) index.close();
      count++;
    }
    expect(count).toBe(600);
  });
});

describe("an index without rows", () => {
  it("says so", async () => {
    const index = await RabitqIndex.build(rows(0, 10), { dimensions });
    const refused = expect.objectContaining({ code: "NO_RAW_VECTORS", name: "IndexError" });
    expect(() => index.get(1)).toThrow(refused);
    expect(() => [...index]).toThrow(refused);
  });
});

describe("facts", () => {
  it("describe the index", async () => {
    const index = await RabitqPlusIndex.build(rows(0, 500), { dimensions, metric: "ip" });
    expect(index).toMatchObject({
      kind: "RabitqPlusIndex",
      dimensions,
      metric: "ip",
      size: 500,
      bits: 5,
      closed: false,
    });
    const stats = index.stats();
    expect(stats).toMatchObject({
      rows: 500,
      deleted: 0,
      rawBytes: expect.any(Number),
      mappedBytes: 0,
      parts: 1,
    });
    expect(stats.rawBytes).toBeGreaterThanOrEqual(500 * dimensions * 4);
    expect(index.memoryBytes).toBe(stats.heapBytes);
    expect(String(index)).toMatch(/^RabitqPlusIndex\(n=500, d=48, ip, [\d.]+ kB\)$/);
    const flat = await FlatF32Index.build(rows(0, 5), { dimensions });
    expect(flat.bits).toBeUndefined();
  });
});
