import { RuLake, type StoredRecord } from "rulake";
import { expect, it } from "vitest";
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
