import { RuLake, type StoredRecord } from "rulake";
import { describe, expect, it } from "vitest";
import { noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const dimensions = 4;
const count = 300;
const vectors = noise(count * dimensions);
const vectorOf = (i: number) => vectors.slice(i * dimensions, (i + 1) * dimensions);

/** What JSON has to escape, in texts short and long; some records lack a part. */
const odd = 'a "quote", a \\, a line\n, \u0000\u001f, \u2028, ü, 😀';
const records = Array.from({ length: count }, (_, i): StoredRecord => {
  const record: StoredRecord = { id: `${i} ${odd}` };
  if (i % 5 !== 0) record.vector = vectorOf(i);
  if (i % 3 !== 0) record.text = `${i} ${odd.repeat(i % 7 === 0 ? 1000 : 1)}`;
  if (i % 4 !== 0) record.metadata = JSON.parse(`{"__proto__":{"i":${i}},"odd":${JSON.stringify(odd)}}`);
  return record;
});

it("answers hold what was stored, whatever it is and however it gets here", async () => {
  await using lake = await RuLake.open(scratch());
  const docs = await lake.collection("docs");
  await docs.upsert(records);
  const without = (record: StoredRecord): StoredRecord => {
    const { vector: _, ...rest } = record;
    return rest;
  };
  for (const flushed of [false, true]) {
    if (flushed) await docs.compact();
    const everything = ["vector", "text", "metadata"] as const;
    const all = records.map(({ id }) => id);
    expect(await docs.get(all, { include: everything })).toEqual(records);
    expect(await docs.get(all.slice(0, 3))).toEqual(records.slice(0, 3).map(without));
    const scanned: StoredRecord[] = [];
    for await (const record of docs.scan({ include: everything })) scanned.push(record);
    expect(scanned).toEqual(records);

    const searched = records.filter(({ vector }) => vector !== undefined);
    const queries = searched.map(({ vector }) => vector ?? []);
    const answers = await docs.searchBatch(queries, { k: 3 });
    expect(answers.map(([hit]) => hit)).toEqual(
      searched.map((record) => ({
        ...without(record),
        score: expect.closeTo(1, 5),
        distance: expect.any(Number),
      })),
    );
    expect(answers.every((hits) => hits.length === 3)).toBe(true);
    expect(await docs.search(queries[0] ?? [], { k: 3 })).toEqual(answers[0]);
    const [both] = await docs.search(queries[0] ?? [], { k: 1, include: everything });
    expect(both).toEqual({
      ...searched[0],
      score: answers[0]?.[0]?.score,
      distance: answers[0]?.[0]?.distance,
    });
    expect(await docs.search(queries[0] ?? [], { minScore: 2 })).toEqual([]);
  }
});

describe.each([
  ["short ids", (i: number) => `${"😀".repeat(i % 7)}${i}`],
  ["long ids", (i: number) => `record ${"ü".repeat(i % 7)}, number ${i}`],
  ["both", (i: number) => (i === 9 ? `${"12345678\u0000".repeat(100)}` : `"${i}`)],
])("%s", (_, idOf) => {
  it.each([1, 10, 200])("are whole in the best %i, with and without other parts", async (k) => {
    await using lake = await RuLake.open({ memory: true });
    const docs = await lake.collection("docs", { metric: "l2" });
    const stored = Array.from({ length: 200 }, (_, i) => ({
      id: idOf(i),
      vector: [i, 0],
      ...(i % 2 === 0 ? { text: `text ${i}` } : {}),
      ...(i % 3 === 0 ? { metadata: { i } } : {}),
    }));
    await docs.upsert(stored);
    const expected = stored.slice(0, k).map(({ vector: [distance = 0], ...rest }) => {
      return { ...rest, score: 1 / (1 + distance), distance };
    });
    expect(await docs.search([0, 0], { k })).toEqual(expected);
    expect(await docs.search([0, 0], { k, signal: new AbortController().signal })).toEqual(expected);
    const [batch] = await docs.searchBatch([[0, 0]], { k });
    expect(batch).toEqual(expected);
    for (const part of ["text", "metadata"] as const) {
      const other = part === "text" ? "metadata" : "text";
      const wanted = expected.map(({ [other]: _, ...rest }) => rest);
      expect(await docs.search([0, 0], { k, include: [part] })).toEqual(wanted);
    }
    const alone = expected.map(({ id, score, distance }) => ({ id, score, distance }));
    expect(await docs.search([0, 0], { k, include: [] })).toEqual(alone);
    expect(Object.keys((await docs.search([0, 0], { k }))[0] ?? {})).toEqual([
      "id",
      "text",
      "metadata",
      "score",
      "distance",
    ]);
  });
});
