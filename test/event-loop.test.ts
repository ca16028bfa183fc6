import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadIndex, RabitqPlusIndex } from "rulake";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noise, row } from "./indexes/dataset.js";
import { addedDelay } from "./loop-delay.js";

const dimensions = 384;
const n = 200_000;

/** What no call may add to the delays an idle process has. */
const allowed = 5;

describe("the event loop", () => {
  const vectors = noise(n, dimensions);
  const ids = Array.from({ length: n }, (_, i) => i);
  let index: RabitqPlusIndex;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(path.join(tmpdir(), "rulake-loop-"));
    index = await RabitqPlusIndex.build(vectors, { dimensions });
    // Once before measuring, for code that is compiled on first use.
    await index.searchBatch(vectors.subarray(0, 64 * dimensions), 10);
  });
  afterAll(() => {
    index.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const works: [string, () => Promise<unknown>][] = [
    ["building 200k x 384", async () => (await RabitqPlusIndex.build(vectors, { dimensions, ids })).close()],
    [
      "64 searches in flight",
      () => Promise.all(Array.from({ length: 64 }, (_, i) => index.search(row(vectors, dimensions, i), 10))),
    ],
    [
      "a batch of 100 searches with 1000 hits each",
      () => index.searchBatch(vectors.subarray(0, 100 * dimensions), 1000),
    ],
    ["a filter of 200k ids", () => index.search(row(vectors, dimensions, 5), 10, { filterIds: ids })],
    ["replacing 100k rows", () => index.add(ids.slice(0, n / 2), vectors.subarray(0, (n / 2) * dimensions))],
    ["deleting 50k rows", () => index.delete(ids.slice(0, n / 4))],
    ["saving", () => index.save(path.join(dir, "index"))],
    [
      "loading and the first search",
      async () => (await loadIndex(path.join(dir, "index"))).search(row(vectors, dimensions, 9), 10),
    ],
  ];

  it.each(works)("is not stalled by %s", async (_, work) => {
    expect(await addedDelay(work, { allowed })).toBeLessThanOrEqual(allowed);
  });

  it("is not stalled by letting go of a large index", async () => {
    const work = async () => {
      const other = await RabitqPlusIndex.build(vectors.subarray(0, 50_000 * dimensions), { dimensions });
      other.close();
      await sleep(50);
    };
    expect(await addedDelay(work, { allowed })).toBeLessThanOrEqual(allowed);
  });
});
