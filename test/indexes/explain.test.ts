import { FlatF32Index, RabitqAsymIndex, RabitqIndex, RabitqIvfIndex, RabitqPlusIndex } from "rulake";
import { beforeAll, describe, expect, it } from "vitest";

const dimensions = 32;
const rows = 12_000;

/** Rows around 100 middles. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from(
    { length: count * dimensions },
    (_, i) => Math.sin(((Math.floor(i / dimensions) % 100) + 1) * ((i % dimensions) + 1) * 1.7) + next(),
  );
}

describe("explain", () => {
  let vectors: Float32Array;
  let query: Float32Array;

  beforeAll(() => {
    vectors = numbers(rows, 1);
    query = numbers(1, 2);
  });

  it("tells how lists were searched", async () => {
    using index = await RabitqIvfIndex.build(vectors, { dimensions });
    const told = await index.explain(query, 10, { recallTarget: 0.9 });
    expect(told).toMatchObject({
      kind: "RabitqIvfIndex",
      k: 10,
      hits: 10,
      rows,
      allowedRows: undefined,
      exactScan: false,
      lists: index.stats().lists,
      recallTarget: 0.9,
      expectedRecall: 0.9,
    });
    expect(told.listsProbed).toBeGreaterThan(0);
    expect(told.listsProbed).toBeLessThan(told.lists);
    expect(told.rowsScanned).toBeLessThan(rows);
    expect(told.rowsScanned).toBeGreaterThan(told.rowsPruned);
    expect(told.rowsReranked).toBeGreaterThanOrEqual(10);
    const { total, ...stages } = told.milliseconds;
    expect(total).toBeGreaterThan(0);
    expect(Object.values(stages).reduce((sum, time) => sum + time)).toBeLessThanOrEqual(total);
    expect(JSON.parse(JSON.stringify(told))).toMatchObject({ kind: "RabitqIvfIndex" });

    const more = await index.explain(query, 10, { recallTarget: 0.99 });
    expect(more.listsProbed).toBeGreaterThanOrEqual(told.listsProbed);
    const given = await index.explain(query, 10, { nprobe: 3 });
    expect(given).toMatchObject({ listsProbed: 3, recallTarget: undefined, expectedRecall: undefined });
  });

  it("tells of filters", async () => {
    using index = await RabitqIvfIndex.build(vectors, { dimensions });
    const few = await index.explain(query, 10, { filterIds: [1, 5, 7, 1e6] });
    expect(few).toMatchObject({
      hits: 3,
      allowedRows: 3,
      exactScan: true,
      rowsReranked: 3,
      expectedRecall: 1,
    });
    const half = Float64Array.from({ length: rows / 2 }, (_, i) => 2 * i);
    const told = await index.explain(query, 10, { filterIds: half });
    expect(told).toMatchObject({ hits: 10, allowedRows: rows / 2, exactScan: false });
  });

  it("tells of every kind", async () => {
    using flat = await FlatF32Index.build(vectors, { dimensions });
    expect(await flat.explain(query, 5)).toMatchObject({
      lists: 0,
      rowsScanned: 0,
      rowsReranked: rows,
      exactScan: true,
      expectedRecall: 1,
    });
    using plus = await RabitqPlusIndex.build(vectors, { dimensions });
    const told = await plus.explain(query, 5);
    expect(told).toMatchObject({ rowsScanned: rows, exactScan: false, expectedRecall: 0.998 });
    expect(told.rowsReranked).toBeLessThan(rows / 10);
    for (const kind of [RabitqIndex, RabitqAsymIndex]) {
      using index = await kind.build(vectors, { dimensions });
      const estimated = await index.explain(query, 5);
      expect(estimated).toMatchObject({ rowsReranked: 0, rowsScanned: rows, recallTarget: undefined });
    }
  });

  it("refuses what search refuses", async () => {
    using index = await FlatF32Index.build(vectors, { dimensions });
    await expect(index.explain(query, 0)).rejects.toMatchObject({ code: "INVALID_K" });
    await expect(index.explain(query.slice(1), 1)).rejects.toMatchObject({ code: "DIMENSION_MISMATCH" });
    await expect(index.explain(query, 1, { nprobe: 2 })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    index.close();
    await expect(index.explain(query, 1)).rejects.toMatchObject({ code: "CLOSED" });
  });
});
