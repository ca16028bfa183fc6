import { type Collection, RuLake } from "rulake";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addedDelay } from "../loop-delay.js";
import { noise, scratchDirectory } from "./scratch.js";

/** What no call may add to the delays an idle process has. */
const allowed = 5;
const dimensions = 384;
const n = 50_000;
/** Records that are written without being kept by the caller. */
const many = process.env.RULAKE_HEAVY === "1" ? 200_000 : 20_000;
const scratch = scratchDirectory();
const numbers = noise(20_000 * dimensions);

/** Records made when they are asked for: thousands of them kept would give the garbage collector long marks. */
function* records(count: number) {
  for (let i = 0; i < count; i++) {
    // Where one begins is coprime to how many there are, so that no two vectors are alike.
    const start = (i * 97) % (numbers.length - dimensions);
    yield {
      id: `record-${i}`,
      vector: numbers.subarray(start, start + dimensions),
      text: `a text of the usual length, ${"as a passage has ".repeat(20)} ${i}`,
      metadata: { i, lang: i % 2 === 0 ? "en" : "de", tags: ["a", "b"] },
    };
  }
}

const manyValues = { i: { $in: Array.from({ length: 200_000 }, (_, i) => i * 3) } };
const manyConditions = { $or: manyValues.i.$in.slice(0, 4900).map((i) => ({ i, lang: "en" })) };

describe("the event loop", () => {
  const query = noise(dimensions);
  let lake: RuLake;
  let docs: Collection;

  beforeAll(async () => {
    lake = await RuLake.open(scratch());
    docs = await lake.collection("docs");
    // Once before measuring, for code that is compiled on first use.
    await docs.upsert([...records(2000)]);
  });
  afterAll(() => lake.close());

  it("is not stalled by upserting 50k x 384 at once", async () => {
    const all = [...records(n)];
    expect(await addedDelay(() => docs.upsert(all), { allowed })).toBeLessThanOrEqual(allowed);
  });

  it("is not stalled by hundreds of calls at once", async () => {
    const batches = Array.from({ length: 200 }, (_, call) =>
      [...records(100)].map((record) => ({ ...record, id: `call-${call}-${record.id}` })),
    );
    // Without taking turns it is 40 to 80 ms.
    const most = 15;
    const work = () => Promise.all(batches.map((batch) => docs.upsert(batch)));
    expect(await addedDelay(work, { allowed: most })).toBeLessThanOrEqual(most);
  });

  const works: [string, () => Promise<unknown>][] = [
    [`upserting ${many} x 384 from a generator`, () => docs.upsert(records(many))],
    ["searching with a filter", () => docs.search(query, { filter: { lang: "en" } })],
    ["searching with a filter of 200,000 values", () => docs.search(query, { filter: manyValues })],
    ["counting with a filter of 9,800 conditions", () => docs.count(manyConditions)],
    ["5,000 answers with texts", () => docs.search(query, { k: 5000 })],
    ["choosing 20 varied ones among 2,000", () => docs.search(query, { k: 20, mmr: { fetchK: 2000 } })],
    [
      "scanning everything",
      async () => {
        for await (const record of docs.scan()) if (record.id === "") throw new Error("no id");
      },
    ],
    ["getting 5,000 records", () => docs.get(Array.from({ length: 5000 }, (_, i) => `record-${i}`))],
    ["a checkpoint", () => docs.compact()],
    ["verifying", () => docs.verify()],
    [
      "closing, opening and the first search",
      async () => {
        const place = lake.path ?? "";
        await lake.close();
        lake = await RuLake.open(place);
        docs = await lake.collection("docs");
        await docs.search(query);
      },
    ],
    ["deleting by filter", () => docs.delete({ filter: { i: { $lt: 10_000 } } })],
  ];

  it.each(works)("is not stalled by %s", async (_, work) => {
    expect(await addedDelay(work, { allowed })).toBeLessThanOrEqual(allowed);
  });
});
