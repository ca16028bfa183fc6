import { RuLakeError } from "rulake";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { scratchDirectory } from "../vectorstore/scratch.js";
import { harnesses, type Item, type StoreUnderTest } from "./harness.js";

const scratch = scratchDirectory();

/** Deterministic numbers in [-1, 1). */
function randomVector(seed: number, dimensions: number): number[] {
  let state = (seed * 2654435761) >>> 0 || 1;
  return Array.from({ length: dimensions }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return Math.fround(state / 2 ** 31 - 1);
  });
}

function randomItems(n: number, dimensions: number): Item[] {
  return Array.from({ length: n }, (_, i) => ({
    id: `item-${i}`,
    text: `text ${i}`,
    vector: randomVector(i + 1, dimensions),
    metadata: { i },
  }));
}

const ids = (found: { id: string }[]) => found.map((one) => one.id);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return RuLakeError.isInstance(error) ? error.code : `not a RuLakeError: ${String(error)}`;
}

describe.each(harnesses)("$name store", ({ open }) => {
  let store: StoreUnderTest;

  beforeEach(async () => {
    store = await open({ memory: true });
  });

  afterEach(() => store.close());

  const abc: Item[] = [
    { id: "a", text: "east", vector: [1, 0], metadata: { n: 1 } },
    { id: "b", text: "north", vector: [0, 1], metadata: { n: 2 } },
    { id: "c", text: "north east", vector: [1, 1], metadata: { n: 3 } },
  ];

  describe("adding", () => {
    it("is empty at the start", async () => {
      expect(await store.count()).toBe(0);
      expect(store.size()).toBe(0);
      expect(await store.search([1, 0], 3)).toEqual([]);
      expect(await store.get(["a"])).toEqual([]);
      await store.deleteIds(["a"]);
      await store.clear();
    });

    it("returns the ids in order", async () => {
      expect(await store.add(abc)).toEqual(["a", "b", "c"]);
      expect(await store.count()).toBe(3);
      expect(store.size()).toBe(3);
    });

    it("adds nothing without complaint", async () => {
      expect(await store.add([])).toEqual([]);
      expect(await store.count()).toBe(0);
    });

    it("makes different ids where none are given, and keeps them", async () => {
      const made = await store.add([
        { text: "x", vector: [1, 0] },
        { text: "y", vector: [0, 1] },
      ]);
      expect(new Set(made).size).toBe(2);
      expect((await store.get(made)).map((item) => item.text)).toEqual(["x", "y"]);
      expect(ids(await store.search([0, 1], 1))).toEqual([made[1]]);
    });

    it("replaces what has the same id, and does nothing the second time", async () => {
      await store.add(abc);
      await store.add(abc);
      expect(await store.count()).toBe(3);
      await store.add([{ id: "b", text: "west", vector: [-1, 0], metadata: { n: 9 } }]);
      expect(await store.count()).toBe(3);
      expect(await store.get(["b"])).toEqual([{ id: "b", text: "west", metadata: { n: 9 } }]);
      const [best] = await store.search([-1, 0], 1);
      expect(best).toMatchObject({ id: "b", text: "west", score: 1 });
      expect((await store.search([0, 1], 3)).map((found) => found.text)).not.toContain("north");
    });

    it("keeps the last of several with one id", async () => {
      const made = await store.add([
        { id: "a", text: "first", vector: [1, 0] },
        { id: "a", text: "second", vector: [1, 0] },
      ]);
      expect(made).toEqual(["a", "a"]);
      expect((await store.get(["a"])).map((item) => item.text)).toEqual(["second"]);
      expect(await store.count()).toBe(1);
    });

    it("refuses vectors of another length, and changes nothing", async () => {
      await store.add(abc);
      const wrong = [{ id: "d", text: "d", vector: [1, 2, 3] }];
      expect(await codeOf(store.add(wrong))).toBe("DIMENSION_MISMATCH");
      expect(await codeOf(store.search([1, 2, 3], 1))).toBe("DIMENSION_MISMATCH");
      expect(await store.count()).toBe(3);
    });

    it("refuses numbers that are not finite, and changes nothing", async () => {
      await store.add(abc);
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const wrong = [
          { id: "a", text: "changed", vector: [1, 0] },
          { id: "d", text: "d", vector: [bad, 1] },
        ];
        expect(await codeOf(store.add(wrong))).toBe("NOT_FINITE");
        expect(await codeOf(store.search([bad, 1], 1))).toBe("NOT_FINITE");
      }
      expect((await store.get(["a"])).map((item) => item.text)).toEqual(["east"]);
      expect(await store.count()).toBe(3);
    });
  });

  describe("getting and deleting", () => {
    beforeEach(async () => {
      await store.add(abc);
    });

    it("gets by id in the order asked for and skips what is not there", async () => {
      expect(ids(await store.get(["c", "nobody", "a"]))).toEqual(["c", "a"]);
      expect(await store.get([])).toEqual([]);
    });

    it("deletes by id and ignores what is not there", async () => {
      await store.deleteIds(["b", "nobody"]);
      expect(ids(await store.search([0, 1], 3))).toEqual(["c", "a"]);
      await store.deleteIds(["b"]);
      await store.deleteIds([]);
      expect(await store.count()).toBe(2);
      await store.deleteIds(["a", "c"]);
      expect(await store.search([0, 1], 3)).toEqual([]);
    });

    it("can be emptied and filled again", async () => {
      await store.clear();
      expect(await store.count()).toBe(0);
      expect(await store.search([0, 1], 3)).toEqual([]);
      await store.add(abc);
      expect(ids(await store.search([0, 1], 1))).toEqual(["b"]);
    });
  });

  describe("searching", () => {
    it("returns the best first, with similarities", async () => {
      await store.add(abc);
      const found = await store.search([0, 2], 3);
      expect(ids(found)).toEqual(["b", "c", "a"]);
      expect(found.map((one) => one.score)).toEqual([1, expect.closeTo(Math.SQRT1_2, 6), 0]);
    });

    it("returns all when k is larger than the store", async () => {
      await store.add(abc);
      expect(await store.search([1, 0], 100)).toHaveLength(3);
    });

    it.each([0, -1, 1.5, Number.NaN])("refuses k = %s", async (k) => {
      await store.add(abc);
      expect(await codeOf(store.search([1, 0], k))).toBe("INVALID_K");
    });

    it("keeps the order of adding among equals", async () => {
      const items = ["q", "b", "z", "a", "m"].map((id) => ({ id, text: id, vector: [0.3, 0.1, 0.7] }));
      await store.add(items);
      expect(ids(await store.search([0.3, 0.1, 0.7], 5))).toEqual(["q", "b", "z", "a", "m"]);
      expect(ids(await store.search([1, 0, 0], 2))).toEqual(["q", "b"]);
      await store.add([{ id: "b", text: "b again", vector: [0.3, 0.1, 0.7] }]);
      expect(ids(await store.search([1, 0, 0], 5))).toEqual(["q", "z", "a", "m", "b"]);
    });

    it("gives an identical vector a similarity of exactly 1", async () => {
      for (const dimensions of [3, 96, 384]) {
        const other = await open({ memory: true });
        const items = randomItems(20, dimensions);
        await other.add(items);
        for (const item of items) {
          const [best] = await other.search(item.vector, 1);
          expect(best).toMatchObject({ id: item.id, score: 1 });
        }
        await other.close();
      }
    });

    it.each([1, 2, 4, 96, 1536])(
      "finds the nearest of few and many vectors of %i numbers",
      async (dimensions) => {
        const items = randomItems(60, dimensions);
        for (const n of [1, 2, 3, 60]) {
          await store.add(items.slice(0, n));
          const query = randomVector(999, dimensions);
          const exact = items
            .slice(0, n)
            .map((item) => ({ id: item.id, score: cosine(query, item.vector) }))
            .sort((a, b) => b.score - a.score);
          const found = await store.search(query, 5);
          expect(found).toHaveLength(Math.min(5, n));
          for (const [i, one] of found.entries()) {
            expect(one.score).toBeCloseTo(exact[i]?.score ?? Number.NaN, 5);
          }
        }
      },
    );

    it("keeps its word after growing past the exact index", async () => {
      const items = randomItems(6000, 24);
      await store.add(items);
      const query = randomVector(77, 24);
      expect(await store.search(query, 7000)).toHaveLength(6000);
      const exact = items
        .map((item) => ({ id: item.id, score: cosine(query, item.vector) }))
        .sort((a, b) => b.score - a.score)
        .slice(0, 20);
      const found = await store.search(query, 20);
      expect(ids(found).filter((id) => exact.some((one) => one.id === id)).length).toBeGreaterThanOrEqual(19);
      expect(found[0]?.score).toBeCloseTo(exact[0]?.score ?? Number.NaN, 5);
      const [best] = await store.search(items[4321]?.vector ?? [], 1);
      expect(best).toMatchObject({ id: "item-4321", score: 1 });
      const filtered = await store.search(query, 3, { filter: { i: { $gte: 5998 } } });
      expect(ids(filtered).sort()).toEqual(["item-5998", "item-5999"]);
      await store.deleteIds(ids(found));
      expect(ids(await store.search(query, 20)).some((id) => ids(found).includes(id))).toBe(false);
    });

    it("works when all vectors are the same", async () => {
      await store.add(
        Array.from({ length: 30 }, (_, i) => ({ id: `${i}`, text: `${i}`, vector: [1, 2, 3, 4] })),
      );
      const found = await store.search([1, 2, 3, 4], 3);
      expect(found.map(({ id, score }) => [id, score])).toEqual([
        ["0", 1],
        ["1", 1],
        ["2", 1],
      ]);
    });

    it("takes zero vectors, which are similar to nothing", async () => {
      await store.add([{ id: "zero", text: "zero", vector: [0, 0] }, ...abc]);
      expect((await store.search([0, 0], 4)).map((one) => one.score)).toEqual([0, 0, 0, 0]);
      expect((await store.search([1, 0], 4)).find((one) => one.id === "zero")?.score).toBe(0);
    });

    it("leaves out what is below minScore", async () => {
      await store.add(abc);
      expect(ids(await store.search([0, 1], 3, { minScore: 0.5 }))).toEqual(["b", "c"]);
      expect(await store.search([-1, -1], 3, { minScore: 0.5 })).toEqual([]);
    });

    it("trades relevance against variety", async () => {
      await store.add([
        { id: "best", text: "", vector: [1, 0.1, 0] },
        { id: "copy", text: "", vector: [1, 0.11, 0] },
        { id: "other", text: "", vector: [0.6, 0, 0.8] },
        { id: "far", text: "", vector: [-1, 0, 0] },
      ]);
      const query = [1, 0, 0];
      expect(ids(await store.search(query, 2))).toEqual(["best", "copy"]);
      expect(ids(await store.search(query, 2, { mmr: { fetchK: 3, lambda: 0.3 } }))).toEqual([
        "best",
        "other",
      ]);
      expect(ids(await store.search(query, 2, { mmr: { fetchK: 2, lambda: 0.3 } }))).toEqual([
        "best",
        "copy",
      ]);
      expect(ids(await store.search(query, 3, { mmr: { fetchK: 4, lambda: 1 } }))).toEqual([
        "best",
        "copy",
        "other",
      ]);
      const found = await store.search(query, 2, { mmr: { fetchK: 3, lambda: 0.3 } });
      expect(found[1]?.score).toBeCloseTo(0.6, 6);
    });

    it.each([
      ["cosine", ["east", "long"], [1, Math.SQRT1_2]],
      ["ip", ["long", "east"], [20, 2]],
      ["l2", ["east", "long"], [1 / 2, 1 / (1 + Math.hypot(8, 10))]],
    ] as const)("higher scores are better with the metric %s", async (metric, order, scores) => {
      const other = await open({ memory: true }, { metric });
      await other.add([
        { id: "long", text: "", vector: [10, 10] },
        { id: "east", text: "", vector: [1, 0] },
      ]);
      const found = await other.search([2, 0], 2);
      expect(ids(found)).toEqual(order);
      expect(found.map((one) => one.score)).toEqual(scores.map((score) => expect.closeTo(score, 5)));
      await other.close();
    });
  });

  describe("what is stored", () => {
    const metadata = {
      zulu: "order of keys",
      alpha: 1,
      float: 0.1,
      big: 2 ** 53,
      yes: true,
      no: false,
      nothing: null,
      empty: "",
      list: ["a", 1, null, { deep: [1] }],
      author: { name: "Ada", "key.with.dots": { $dollar: 1 } },
      "dotted.key": "literal",
      $price: 3,
      text: "a field called text",
      id: "a field called id",
      vector: [1, 2],
      日本: "語",
      _node: "a name the stores use themselves",
    };
    const texts = [
      "",
      "plain",
      "日本語 👩‍👩‍👧 e\u0301 \u202eabc",
      "line\r\nbreak\ttab\u0000nul",
      "x".repeat(100_000),
    ];

    it("comes back unchanged", async () => {
      const items = texts.map((text, i) => ({ id: `id/${i} ü`, text, vector: [1, i], metadata }));
      await store.add(items);
      const stored = await store.get(items.map((item) => item.id));
      expect(stored).toEqual(items.map(({ id, text }) => ({ id, text, metadata })));
      expect(JSON.stringify(stored[0]?.metadata)).toBe(JSON.stringify(metadata));
      for (const found of await store.search([1, 0], 10)) {
        expect(found.metadata).toEqual(metadata);
        expect(found.text).toBe(texts[Number(found.id.at(3))]);
      }
    });

    it("does not share objects with the caller", async () => {
      const mine = { tags: ["a"] };
      await store.add([{ id: "a", text: "", vector: [1, 0], metadata: mine }]);
      mine.tags.push("b");
      const [first] = await store.get(["a"]);
      (first?.metadata.tags as string[] | undefined)?.push("c");
      expect((await store.get(["a"]))[0]?.metadata).toEqual({ tags: ["a"] });
    });

    it("is there after reopening", async () => {
      const path = `${scratch()}/docs`;
      const first = await open(path);
      await first.add(abc.map((item) => ({ ...item, metadata: { ...metadata, ...item.metadata } })));
      await first.deleteIds(["a"]);
      const before = await first.search([1, 0], 5);
      await first.close();
      const second = await open(path);
      expect(await second.search([1, 0], 5)).toEqual(before);
      expect(await second.count()).toBe(2);
      await second.add([{ id: "d", text: "more", vector: [3, 4] }]);
      expect(ids(await second.search([3, 4], 1))).toEqual(["d"]);
      await second.close();
    });

    it("is apart from other collections of the lake", async () => {
      const lake = scratch();
      const one = await open(`${lake}/one`);
      const two = await open(`${lake}/two`);
      await one.add(abc);
      await two.add([{ id: "a", text: "of three", vector: [1, 2, 3] }]);
      expect(await one.count()).toBe(3);
      expect((await two.get(["a"])).map((item) => item.text)).toEqual(["of three"]);
      await one.close();
      expect(await two.count()).toBe(1);
      await two.close();
    });

    it("cannot be used after closing", async () => {
      const path = `${scratch()}/docs`;
      const other = await open(path);
      await other.add(abc);
      await other.close();
      await other.close();
      expect(await codeOf(other.search([1, 0], 1))).toBe("CLOSED");
      expect(await codeOf(other.add(abc))).toBe("CLOSED");
      expect(await codeOf(other.deleteIds(["a"]))).toBe("CLOSED");
    });
  });
});

function cosine(a: number[], b: number[]): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
