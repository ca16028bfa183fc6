import { type Collection, RuLake } from "rulake";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addedDelay } from "../indexes/loop-delay.js";
import { noise, scratchDirectory } from "./scratch.js";

/** What no call may add to the delays an idle process has. */
const allowed = 5;
const dimensions = 384;
const n = 50_000;
const scratch = scratchDirectory();

describe("the event loop", () => {
  const vectors = noise(n * dimensions);
  const records = Array.from({ length: n }, (_, i) => ({
    id: `record-${i}`,
    vector: vectors.subarray(i * dimensions, (i + 1) * dimensions),
    text: `a text of the usual length, ${"as a passage has ".repeat(20)} ${i}`,
    metadata: { i, lang: i % 2 === 0 ? "en" : "de", tags: ["a", "b"] },
  }));
  let lake: RuLake;
  let docs: Collection;

  beforeAll(async () => {
    lake = await RuLake.open(scratch());
    docs = await lake.collection("docs");
    // Once before measuring, for code that is compiled on first use.
    await docs.upsert(records.slice(0, 2000));
  });
  afterAll(() => lake.close());

  const works: [string, () => Promise<unknown>][] = [
    ["upserting 50k x 384 at once", () => docs.upsert(records)],
    [
      "searching with a filter",
      () => docs.search(vectors.subarray(0, dimensions), { filter: { lang: "en" } }),
    ],
    ["5,000 answers with texts", () => docs.search(vectors.subarray(0, dimensions), { k: 5000 })],
    [
      "scanning everything",
      async () => {
        for await (const record of docs.scan()) if (record.id === "") throw new Error("no id");
      },
    ],
    ["getting 20k records", () => docs.get(records.slice(0, 20_000).map((record) => record.id))],
    ["a checkpoint", () => docs.compact()],
    ["verifying", () => docs.verify()],
    [
      "closing, opening and the first search",
      async () => {
        const place = lake.path ?? "";
        await lake.close();
        lake = await RuLake.open(place);
        docs = await lake.collection("docs");
        await docs.search(vectors.subarray(0, dimensions));
      },
    ],
    ["deleting by filter", () => docs.delete({ filter: { i: { $lt: 10_000 } } })],
  ];

  it.each(works)("is not stalled by %s", async (_, work) => {
    expect(await addedDelay(work, { allowed })).toBeLessThanOrEqual(allowed);
  });
});
