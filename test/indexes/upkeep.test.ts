import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FlatF32Index, RabitqIndex, RabitqIvfIndex, RabitqPlusIndex } from "rulake";
import { describe, expect, it } from "vitest";
import { classes, clustered, row } from "./dataset.js";

const dimensions = 32;
const vectors = clustered(16_000, dimensions);
const rows = (from: number, to: number) => vectors.subarray(from * dimensions, to * dimensions);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

async function saved(index: RabitqIvfIndex): Promise<Buffer> {
  const folder = mkdtempSync(path.join(tmpdir(), "rulake-upkeep-"));
  try {
    await index.save(path.join(folder, "index"));
    return readFileSync(path.join(folder, "index"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("upkeep in the background", () => {
  it("lets added rows join the lists and drops deleted ones, without being asked", async () => {
    const index = await RabitqIvfIndex.build(rows(0, 10_000), { dimensions });
    expect(index.stats()).toMatchObject({ ungrouped: 0, deleted: 0, drift: 1 });
    await index.add(range(10_000, 16_000), rows(10_000, 16_000));
    await index.delete(range(0, 4000));
    const settled = () => index.stats().ungrouped <= 2048 && index.stats().deleted <= 2048;
    // In the background, and so last in line on a busy machine.
    for (let i = 0; i < 2000 && !settled(); i++) await sleep(50);
    expect(settled()).toBe(true);
    const { imbalance, drift } = index.stats();
    expect(imbalance).toBeGreaterThan(1);
    expect(drift).toBeGreaterThan(0.5);
    expect(drift).toBeLessThan(2);
    expect(index.size).toBe(12_000);
    expect((await index.search(row(vectors, dimensions, 15_555), 1))[0]?.id).toBe(15_555);
    index.close();
  });

  it("lets go of an index that is closed", async () => {
    const index = await RabitqIvfIndex.build(rows(0, 10_000), { dimensions });
    await index.add(range(10_000, 16_000), rows(10_000, 16_000));
    index.close();
    await sleep(20);
    expect(() => index.stats()).toThrow(/closed/);
  });
});

describe("compact", () => {
  it("gives the file that a build of the same rows gives, whatever happened before", async () => {
    const index = await RabitqIvfIndex.build(rows(0, 9000), { dimensions });
    await index.add(range(9000, 12_000), rows(9000, 12_000));
    await index.delete(range(0, 3000));
    await index.compact();
    const fresh = await RabitqIvfIndex.build(rows(3000, 12_000), { dimensions, ids: range(3000, 12_000) });
    expect((await saved(index)).equals(await saved(fresh))).toBe(true);
    expect(index.stats()).toMatchObject({ parts: 1, deleted: 0, ungrouped: 0, drift: 1 });
  });

  it.each(Object.entries(classes))("%s loses deleted rows and answers as before", async (_, Index) => {
    const index = await Index.build(rows(0, 2000), { dimensions });
    await index.delete(range(0, 1500));
    const query = row(vectors, dimensions, 1700);
    const before = await index.search(query, 1);
    await index.compact();
    expect(index.stats()).toMatchObject({ rows: 500, deleted: 0 });
    expect(await index.search(query, 1)).toEqual(before);
  });

  it("stops at a signal, which changes nothing", async () => {
    const index = await RabitqIvfIndex.build(rows(0, 10_000), { dimensions });
    await index.delete([1, 2, 3]);
    const abort = new AbortController();
    const compacting = index.compact({ signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(compacting).rejects.toThrow("enough");
    expect(index.stats().deleted).toBe(3);
    index.close();
    await expect(index.compact()).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("raw vectors in half precision", () => {
  const kept = { FlatF32Index, RabitqPlusIndex, RabitqIvfIndex };

  it.each(Object.entries(kept))(
    "%s takes half the space and answers for the rounded rows",
    async (_, Index) => {
      const index = await Index.build(rows(0, 4000), { dimensions, raw: "f16" });
      expect(index.stats().rawBytes).toBe(4000 * (2 * dimensions + 1));
      const given = row(vectors, dimensions, 77);
      const got = index.get(77) ?? new Float32Array(0);
      expect(got).not.toEqual(given);
      const most = Math.max(...given.map(Math.abs)) / 2048;
      for (const [i, number] of got.entries()) expect(Math.abs(number - (given[i] ?? 0))).toBeLessThan(most);
      expect((await index.search(got, 1))[0]).toMatchObject({ id: 77, distance: 0 });
    },
  );

  it("is refused where it is unknown or nothing raw is kept", async () => {
    const raw = "f8" as "f16";
    await expect(FlatF32Index.build(rows(0, 9), { dimensions, raw })).rejects.toThrow("raw");
    await expect(RabitqIndex.build(rows(0, 9), { dimensions, raw: "f16" } as never)).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
  });
});
