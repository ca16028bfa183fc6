import { FlatF32Index, type Metric, RabitqIndex, RabitqPlusIndex } from "rulake";
import { describe, expect, it } from "vitest";
import { classes, clustered, exactClasses, metrics, nearest, row } from "./dataset.js";

const n = 1200;
const dimensions = 96;
const vectors = clustered(n, dimensions);
const queries = clustered(20, dimensions, 2);

const scoreOf = (distance: number, metric: Metric) =>
  metric === "cosine" ? 1 - distance : metric === "ip" ? -distance : 1 / (1 + distance);

describe.each(Object.entries(classes))("%s", (name, Index) => {
  describe.each(metrics)("%s", (metric) => {
    const built = Index.build(vectors, { dimensions, metric });

    it("finds what a plain scan finds", async () => {
      const index = await built;
      let found = 0;
      for (let q = 0; q < 20; q++) {
        const query = row(queries, dimensions, q);
        const truth = nearest(vectors, query, 10, metric);
        const hits = await index.search(query, 10);
        expect(hits).toHaveLength(10);
        found += hits.filter((hit) => truth.some((t) => t.id === hit.id)).length;
        if (name === "FlatF32Index") expect(hits.map((h) => h.id)).toEqual(truth.map((t) => t.id));
        for (const [i, hit] of hits.entries()) {
          expect(hit.score).toBeCloseTo(scoreOf(hit.distance, metric), 12);
          if (i > 0) expect(hit.distance).toBeGreaterThanOrEqual(hits[i - 1]?.distance ?? 0);
        }
        if (name in exactClasses) {
          const exact = new Map(nearest(vectors, query, n, metric).map((t) => [t.id, t.distance]));
          for (const hit of hits) {
            const wanted = exact.get(hit.id) ?? Number.NaN;
            expect(Math.abs(hit.distance - wanted)).toBeLessThan(1e-5 * Math.max(1, Math.abs(wanted)));
          }
        }
      }
      const recall = found / 200;
      expect(recall).toBeGreaterThanOrEqual(
        {
          FlatF32Index: 1,
          RabitqPlusIndex: 0.99,
          RabitqIvfIndex: 0.97,
          RabitqAsymIndex: 0.8,
          RabitqIndex: 0.25,
        }[name] ?? 1,
      );
    });

    it("gives the same answers by every way of asking", async () => {
      const index = await built;
      const batch = await index.searchBatch(queries, 7);
      expect(batch.k).toBe(7);
      const ids = new Float64Array(7);
      const distances = new Float32Array(7);
      for (let q = 0; q < 20; q++) {
        const query = row(queries, dimensions, q);
        const hits = await index.search(query, 7);
        expect(index.searchSync(query, 7)).toEqual(hits);
        expect(await index.search([...query], 7)).toEqual(hits);
        expect(index.searchInto(query, ids, distances)).toBe(7);
        expect([...ids]).toEqual(hits.map((h) => h.id));
        expect([...distances]).toEqual(hits.map((h) => Math.fround(h.distance)));
        expect([...batch.ids.subarray(7 * q, 7 * q + 7)]).toEqual(hits.map((h) => h.id));
        expect([...batch.distances.subarray(7 * q, 7 * q + 7)]).toEqual(
          hits.map((h) => Math.fround(h.distance)),
        );
      }
    });

    it("returns only allowed ids, and all of them if k asks for more", async () => {
      const index = await built;
      const query = row(queries, dimensions, 0);
      const allowed = [3, 700, 44, 1199, 5, 99999, -1];
      for (const filterIds of [
        allowed,
        new Set(allowed),
        Float64Array.from(allowed),
        BigInt64Array.from(allowed.map(BigInt)),
        Int32Array.from(allowed),
      ]) {
        const hits = await index.search(query, 50, { filterIds });
        expect(hits.map((h) => h.id).sort((a, b) => a - b)).toEqual([3, 5, 44, 700, 1199]);
        expect(index.searchSync(query, 50, { filterIds })).toEqual(hits);
      }
      expect(await index.search(query, 3, { filterIds: [] })).toEqual([]);
      const batch = await index.searchBatch(queries, 3, { filterIds: [8, 9] });
      expect(batch.k).toBe(3);
      expect([...batch.ids.subarray(0, 2)].sort()).toEqual([8, 9]);
      expect(batch.ids[2]).toBeNaN();
      expect(batch.distances[2]).toBe(Number.POSITIVE_INFINITY);
      const half = Array.from({ length: n / 2 }, (_, i) => 2 * i);
      for (const hit of await index.search(query, 20, { filterIds: half })) expect(hit.id % 2).toBe(0);
    });

    it("accepts every k from 1", async () => {
      const index = await built;
      const query = row(queries, dimensions, 1);
      expect(await index.search(query, 1)).toHaveLength(1);
      expect(await index.search(query, n)).toHaveLength(n);
      const all = await index.search(query, 1e9);
      expect(new Set(all.map((h) => h.id)).size).toBe(n);
      expect(index.searchSync(query, Number.MAX_SAFE_INTEGER)).toEqual(all);
      expect(index.searchInto(query, new Float64Array(2 * n), new Float32Array(2 * n))).toBe(n);
      expect((await index.searchBatch(query, 1e9)).k).toBe(n);
    });

    it("works with one vector and with none", async () => {
      const one = await Index.build(row(vectors, dimensions, 0), { dimensions, metric, ids: [77] });
      expect((await one.search(row(queries, dimensions, 0), 5)).map((h) => h.id)).toEqual([77]);
      const none = await Index.build(new Float32Array(0), { dimensions, metric });
      expect(none.size).toBe(0);
      expect(await none.search(row(queries, dimensions, 0), 5)).toEqual([]);
      expect(none.searchSync(row(queries, dimensions, 0), 5)).toEqual([]);
      expect((await none.searchBatch(queries, 5)).ids.length % 20).toBe(0);
      await none.add([1, 2], vectors.subarray(0, 2 * dimensions));
      expect((await none.search(row(vectors, dimensions, 1), 1)).map((h) => h.id)).toEqual([2]);
    });

    it("keeps the order of insertion among equal vectors", async () => {
      const equal = new Float32Array(300 * dimensions);
      for (let i = 0; i < 300; i++) equal.set(row(vectors, dimensions, 0), i * dimensions);
      const ids = Array.from({ length: 300 }, (_, i) => 1000 - i);
      const index = await Index.build(equal, { dimensions, metric, ids });
      const hits = await index.search(row(queries, dimensions, 0), 40);
      expect(hits.map((h) => h.id)).toEqual(ids.slice(0, 40));
    });

    it("takes zero vectors, as rows and as queries", async () => {
      const some = vectors.slice(0, 10 * dimensions);
      some.fill(0, 3 * dimensions, 4 * dimensions);
      const index = await Index.build(some, { dimensions, metric });
      const zero = new Float32Array(dimensions);
      const hits = await index.search(zero, 10);
      expect(hits.every((h) => Number.isFinite(h.score))).toBe(true);
      // toEqual tells -0 from 0.
      if (metric !== "l2") expect(hits.map((h) => h.score)).toEqual(new Array(10).fill(0));
      if (metric === "ip") expect(hits.map((h) => h.distance)).toEqual(new Array(10).fill(0));
      if (metric === "l2" && name in exactClasses) expect(hits[0]).toEqual({ id: 3, score: 1, distance: 0 });
      const self = (await index.search(row(some, dimensions, 5), 10)).find((h) => h.id === 3);
      if (metric === "cosine") expect(self?.score).toBe(0);
    });
  });
});

describe("many hits", () => {
  const many = clustered(20_000, 8);

  it("come in order, by every way of asking", async () => {
    const index = await FlatF32Index.build(many, { dimensions: 8, metric: "l2" });
    const hits = await index.search(row(many, 8, 3), 20_000);
    expect(hits).toEqual(index.searchSync(row(many, 8, 3), 20_000));
    expect(hits).toHaveLength(20_000);
    const { ids } = await index.searchBatch(many.subarray(24, 24 + 8 * 8), 20_000);
    expect([...ids.subarray(0, 20_000)]).toEqual(hits.map((h) => h.id));
  });

  it("are refused in numbers no memory holds", async () => {
    const index = await FlatF32Index.build(many, { dimensions: 8 });
    await expect(index.searchBatch(many, 1e9)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      context: { hits: 4e8 },
    });
  });
});

describe("sizes", () => {
  it.each([1, 2, 3, 7, 63, 64, 65, 100, 1023, 8192])("%i dimensions", async (d) => {
    const some = clustered(40, d, d);
    for (const metric of metrics) {
      const flat = await FlatF32Index.build(some, { dimensions: d, metric });
      const plus = await RabitqPlusIndex.build(some, { dimensions: d, metric });
      const query = row(some, d, 7);
      const truth = nearest(some, query, 40, metric);
      const hits = await flat.search(query, 40);
      for (const [i, hit] of hits.entries()) {
        const wanted = truth[i]?.distance ?? Number.NaN;
        expect(Math.abs(hit.distance - wanted)).toBeLessThan(1e-4 * Math.max(1, Math.abs(wanted)));
      }
      expect(await plus.search(query, 40)).toEqual(hits);
      const codes = await RabitqIndex.build(some, { dimensions: d, metric, bits: 8 });
      expect(await codes.search(query, 100)).toHaveLength(40);
    }
  });

  it.each([1, 5, 8] as const)("%i bits", async (bits) => {
    const index = await RabitqIndex.build(vectors, { dimensions, bits });
    expect(index.bits).toBe(bits);
    let found = 0;
    for (let q = 0; q < 20; q++) {
      const query = row(queries, dimensions, q);
      const truth = new Set(nearest(vectors, query, 10, "cosine").map((t) => t.id));
      found += (await index.search(query, 10)).filter((h) => truth.has(h.id)).length;
    }
    expect(found / 200).toBeGreaterThan({ 1: 0.25, 5: 0.8, 8: 0.95 }[bits]);
  });

  it("reaches a lower recall target, and 1 exactly", async () => {
    const index = await RabitqPlusIndex.build(vectors, { dimensions });
    const query = row(queries, dimensions, 3);
    expect(await index.search(query, 10, { recallTarget: 0.5 })).toHaveLength(10);
    expect(await index.search(query, 10, { rerankFactor: 1 })).toHaveLength(10);
    const exact = await index.search(query, 10, { recallTarget: 1 });
    expect(exact.map((h) => h.id)).toEqual(nearest(vectors, query, 10, "cosine").map((t) => t.id));
  });
});
