import { type Filter, LakeError } from "rulake";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { harnesses, type StoreUnderTest } from "./harness.js";

const records: Record<string, Record<string, unknown>> = {
  ada: { lang: "en", year: 1843, tags: ["math", "notes"], author: { name: "Ada" }, draft: false },
  bob: { lang: "de", year: 2020, tags: ["rust"], author: { name: "Bob" }, draft: true },
  cyd: { lang: "en", year: 2021, tags: [], "author.name": "Cyd", draft: null },
  dan: { lang: "EN-gb", year: "2022", tags: "rust belt", note: "" },
  eve: { year: 0, zero: 0, nothing: null, object: {} },
  foo: {},
};

const everyone = Object.keys(records);
const except = (...names: string[]) => everyone.filter((name) => !names.includes(name));

/** Filter and the records it matches. */
const cases: [Filter, string[]][] = [
  [{}, everyone],
  [{ lang: "en" }, ["ada", "cyd"]],
  [{ lang: { $eq: "en" } }, ["ada", "cyd"]],
  [{ lang: "en", year: 2021 }, ["cyd"]],
  [{ year: 0 }, ["eve"]],
  [{ year: 2022 }, []],
  [{ draft: false }, ["ada"]],
  [{ draft: null }, ["cyd"]],
  [{ author: { name: "Ada" } }, ["ada"]],
  [{ tags: ["math", "notes"] }, ["ada"]],
  [{ tags: ["notes", "math"] }, []],
  [{ lang: { $ne: "en" } }, ["bob", "dan"]],
  [{ draft: { $ne: false } }, ["bob", "cyd"]],
  [{ year: { $gt: 2020 } }, ["cyd"]],
  [{ year: { $gte: 2020 } }, ["bob", "cyd"]],
  [{ year: { $lt: 1843 } }, ["eve"]],
  [{ year: { $lte: 1843 } }, ["ada", "eve"]],
  [{ year: { $gt: 1843, $lt: 2021 } }, ["bob"]],
  [{ year: { $gt: "2021" } }, ["dan"]],
  [{ lang: { $gte: "de", $lt: "en" } }, ["bob"]],
  [{ lang: { $in: ["de", "fr"] } }, ["bob"]],
  [{ year: { $in: [0] } }, ["eve"]],
  [{ note: { $in: [""] } }, ["dan"]],
  [{ lang: { $in: [] } }, []],
  [{ lang: { $nin: ["de", "fr"] } }, ["ada", "cyd", "dan"]],
  [{ year: { $nin: [0] } }, ["ada", "bob", "cyd", "dan"]],
  [{ nothing: { $exists: true } }, ["eve"]],
  [{ lang: { $exists: false } }, ["eve", "foo"]],
  [{ note: { $isEmpty: false } }, []],
  [{ tags: { $isEmpty: true } }, ["cyd", "eve", "foo"]],
  [{ tags: { $contains: "rust" } }, ["bob", "dan"]],
  [{ tags: { $containsAny: ["math", "rust"] } }, ["ada", "bob", "dan"]],
  [{ tags: { $containsAll: ["math", "notes"] } }, ["ada"]],
  [{ lang: { $startsWith: "e" } }, ["ada", "cyd"]],
  [{ lang: { $textMatch: "EN" } }, ["ada", "cyd", "dan"]],
  [{ lang: { $not: { $eq: "en" } } }, except("ada", "cyd")],
  [{ $not: { lang: "en" } }, except("ada", "cyd")],
  [{ "author.name": "Ada" }, ["ada"]],
  [{ "author.name": "Cyd" }, ["cyd"]],
  [{ $and: [{ lang: "en" }, { year: { $lt: 2000 } }] }, ["ada"]],
  [{ $or: [{ lang: "de" }, { year: 0 }] }, ["bob", "eve"]],
  [
    { $or: [{ $and: [{ lang: "en" }, { draft: false }] }, { $not: { year: { $exists: true } } }] },
    ["ada", "foo"],
  ],
  [{ $and: [] }, everyone],
  [{ $or: [] }, []],
  [{ $id: { $in: ["ada", "foo"] } }, ["ada", "foo"]],
  [{ $text: "text of bob" }, ["bob"]],
];

describe.each(harnesses)("$name filters", ({ open }) => {
  let store: StoreUnderTest;

  beforeAll(async () => {
    store = await open({ memory: true });
    await store.add(
      everyone.map((id, i) => ({
        id,
        text: `text of ${id}`,
        vector: [1, i / 10],
        metadata: records[id] ?? {},
      })),
    );
  });

  afterAll(() => store.close());

  it.each(cases)("%j matches %j", async (filter, expected) => {
    const found = await store.search([1, 0], 10, { filter });
    expect(found.map((one) => one.id)).toEqual(expected);
  });

  it("come before the best k are chosen", async () => {
    const found = await store.search([1, 0], 1, { filter: { $id: "foo" } });
    expect(found.map((one) => one.id)).toEqual(["foo"]);
    const few = await store.search([1, 0], 4, { filter: { lang: "en" } });
    expect(few.map((one) => one.id)).toEqual(["ada", "cyd"]);
  });

  it("apply to candidates for variety too", async () => {
    const found = await store.search([1, 0], 2, { filter: { lang: "en" }, mmr: { fetchK: 2, lambda: 0.5 } });
    expect(found.map((one) => one.id)).toEqual(["ada", "cyd"]);
  });

  it.each([
    [{ year: { $gth: 1 } }, "$gt"],
    [{ $annd: [] }, "$and"],
  ])("%j is refused with a suggestion", async (filter, meant) => {
    const search = store.search([1, 0], 1, { filter: filter as Filter });
    await expect(search).rejects.toThrow(`did you mean '${meant}'`);
    const error = await search.catch((reason: unknown) => reason);
    expect(LakeError.isInstance(error) && error.code).toBe("INVALID_FILTER");
  });
});
