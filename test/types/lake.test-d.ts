// Checked by tsc: every line marked as an error must be one.
import { type Collection, type CollectionHit, type Filter, RuLake } from "rulake";

interface Meta {
  lang: "en" | "de";
  year: number;
  tags: string[];
  author?: { name: string; address?: { city: string } };
  at: Date;
  draft?: boolean | null;
}

const lake = await RuLake.open("./lake", { readOnly: false });
const docs: Collection<Meta> = await lake.collection<Meta>("docs", { metric: "ip", index: "auto" });
const loose: Collection = await lake.collection("loose");

// Records.
const meta: Meta = { lang: "en", year: 2026, tags: [], at: new Date() };
await docs.upsert([
  { id: "a", vector: [1, 2], metadata: meta },
  { vector: new Float32Array(2) },
  { text: "x" },
]);
await docs.upsert(new Set([{ vector: [1], metadata: meta }]), { durability: "buffered" });
// @ts-expect-error a wrong type of metadata
await docs.upsert([{ id: "a", metadata: { ...meta, year: "2026" } }]);
// @ts-expect-error metadata is an object
await loose.upsert([{ id: "a", metadata: "x" }]);
await loose.upsert([{ metadata: { anything: [1, { goes: null }] } }]);

// Answers.
const hits: CollectionHit<Meta>[] = await docs.search([1, 2], { k: 3, filter: { lang: "en" } });
const year: number | undefined = hits[0]?.metadata?.year;
const vector: Float32Array | undefined = hits[0]?.vector;
for await (const record of docs.scan({ chunkSize: 10 })) record.metadata?.tags satisfies string[] | undefined;

// Filters that fit.
const fitting: Filter<Meta>[] = [
  {},
  { lang: "en", year: 2026 },
  { lang: { $in: ["en", "de"] } },
  { year: { $gte: 2020, $lt: 2027 } },
  { tags: { $contains: "x" } },
  { tags: { $containsAny: ["x"], $isEmpty: false } },
  { tags: ["x", "y"] },
  { "author.name": { $startsWith: "A" } },
  { "author.address.city": "Bonn" },
  { author: { $exists: false } },
  { at: { $gt: new Date(0) } },
  { at: { $lte: "2026-01-01" } },
  { draft: null },
  { draft: { $ne: true } },
  { $or: [{ lang: "de" }, { $not: { year: 2026 } }] },
  { year: { $not: { $gt: 2000 } } },
  { $id: { $in: ["a"] }, $text: { $textMatch: "x" } },
];
await loose.count({ whatever: { $gt: 3 }, "a.b": [1], $or: [{ x: null }] });
await docs.count(fitting[0]);

// And those that do not.
// @ts-expect-error no such field
await docs.count({ language: "en" });
// @ts-expect-error no such value
await docs.count({ lang: "fr" });
// @ts-expect-error no such value in a list
await docs.count({ lang: { $in: ["fr"] } });
// @ts-expect-error a number is no string
await docs.count({ year: { $startsWith: "20" } });
// @ts-expect-error wrong operand
await docs.count({ year: { $gt: "2020" } });
// @ts-expect-error wrong element
await docs.count({ tags: { $contains: 1 } });
// @ts-expect-error booleans have no order
await docs.count({ draft: { $gt: false } });
// @ts-expect-error no such path
await docs.count({ "author.nme": "A" });
// @ts-expect-error paths do not enter arrays
await docs.count({ "tags.length": 1 });
// @ts-expect-error no such operator
await docs.count({ year: { $gtt: 1 } });
// @ts-expect-error inside combinations too
await docs.count({ $or: [{ yeer: 1 }] });

// Deletes say exactly one thing.
await docs.delete({ ids: ["a"] });
await docs.delete({ filter: { year: 2026 } });
await docs.delete({ all: true });
// @ts-expect-error nothing said
await docs.delete({});
// @ts-expect-error two things said
await docs.delete({ ids: ["a"], all: true });
// @ts-expect-error false is no answer
await docs.delete({ all: false });

export { hits, vector, year };
