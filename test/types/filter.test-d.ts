// Checked by tsc: every line marked as an error must be one.
import type { Collection, FieldPath, Filter } from "rulake";

declare function where<Meta extends object>(filter: Filter<Meta>): void;

// Optional and nullable objects: paths go through them.
interface Deep {
  author?: { name: string; born: Date | null } | null;
  stats: Readonly<{ views: number; byDay?: readonly number[] }>;
}
where<Deep>({ "author.name": "Ada" });
where<Deep>({ "author.name": { $in: ["Ada", null] } });
where<Deep>({ author: null });
where<Deep>({ author: { $exists: true } });
where<Deep>({ "author.born": { $lt: new Date(0) } });
where<Deep>({ "author.born": null });
where<Deep>({ "stats.views": { $gte: 3 } });
where<Deep>({ "stats.byDay": { $contains: 3 } });
where<Deep>({ stats: { views: 1 } });
// @ts-expect-error a number is no string
where<Deep>({ "author.name": 3 });
// @ts-expect-error a date has an order, but not with numbers
where<Deep>({ "author.born": { $lt: 3 } });
// @ts-expect-error no such path
where<Deep>({ "author.nam": "Ada" });
// @ts-expect-error no way into a date
where<Deep>({ "author.born.getTime": 1 });
// @ts-expect-error wrong element
where<Deep>({ "stats.byDay": { $containsAny: ["3"] } });

// Unions of values and of objects.
type Event =
  | { kind: "login"; user: string; at: Date }
  | { kind: "upload"; user: string; bytes: number; file: { name: string } };
where<Event>({ kind: "login" });
where<Event>({ kind: { $in: ["login", "upload"] }, user: { $startsWith: "a" } });
where<Event>({ bytes: { $gt: 10 } });
where<Event>({ "file.name": { $textMatch: "x" } });
where<Event>({ $or: [{ at: { $gt: new Date() } }, { bytes: 1 }] });
// @ts-expect-error no member has such a kind
where<Event>({ kind: "logout" });
// @ts-expect-error no member has such a field
where<Event>({ byte: 1 });
// @ts-expect-error wrong operand
where<Event>({ bytes: { $gt: "10" } });

interface Mixed {
  version: number | string;
  tags: string | string[];
  flag: boolean;
  level: 1 | 2 | 3;
  pairs: { key: string; value: number }[];
  times: Date[];
}
where<Mixed>({ version: { $gt: 3 } });
where<Mixed>({ version: { $startsWith: "3." } });
where<Mixed>({ tags: { $contains: "x" } });
where<Mixed>({ flag: true });
where<Mixed>({ level: { $nin: [1, 2] } });
where<Mixed>({ level: { $lte: 3 } });
where<Mixed>({ pairs: { $contains: { key: "a", value: 1 } } });
where<Mixed>({ pairs: [{ key: "a", value: 1 }] });
where<Mixed>({ times: { $containsAll: [new Date(), "2026-01-01T00:00:00.000Z"] } });
where<Mixed>({ version: { $not: { $in: [1, "1"] } } });
// @ts-expect-error a boolean is neither number nor string
where<Mixed>({ version: true });
// @ts-expect-error not one of the literals
where<Mixed>({ level: 4 });
// @ts-expect-error booleans contain nothing
where<Mixed>({ flag: { $contains: true } });
// @ts-expect-error incomplete element
where<Mixed>({ pairs: { $contains: { key: "a" } } });
// @ts-expect-error paths do not enter arrays
where<Mixed>({ "pairs.key": "a" });
// @ts-expect-error $in takes a list
where<Mixed>({ level: { $in: 1 } });
// @ts-expect-error $exists takes a boolean
where<Mixed>({ level: { $exists: 1 } });
// @ts-expect-error $and takes a list
where<Mixed>({ $and: { level: 1 } });
// @ts-expect-error no such combination
where<Mixed>({ $nor: [{ level: 1 }] });
// @ts-expect-error wrong operand two levels down
where<Mixed>({ $not: { $and: [{ level: { $not: { $gt: "1" } } }] } });
// @ts-expect-error an id is a string
where<Mixed>({ $id: 7 });
// @ts-expect-error so is a text
where<Mixed>({ $text: { $gt: 7 } });

// Dictionaries: any key, but values of their type.
interface Dictionary {
  scores: Record<string, number>;
  lang: string;
}
where<Dictionary>({ "scores.anything": { $gt: 0.5 } });
where<Dictionary>({ lang: "en" });
// @ts-expect-error not of the dictionary's type
where<Dictionary>({ "scores.anything": "high" });
// @ts-expect-error outside the dictionary keys are known
where<Dictionary>({ lan: "en" });

// Recursive types end at some depth instead of never.
interface Tree {
  name: string;
  parent?: Tree;
}
where<Tree>({ "parent.parent.name": "x" });
// @ts-expect-error still checked below
where<Tree>({ "parent.parent.nme": "x" });

// What is unknown stays permissive.
interface Loose {
  known: number;
  extra: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: users have it
  any: any;
}
where<Loose>({ extra: { whatever: [1] } });
where<Loose>({ extra: { $gt: 3 } });
where<Loose>({ any: "x" });
// @ts-expect-error what is known is checked
where<Loose>({ known: "x" });
where<Record<string, unknown>>({ a: 1, "b.c": { $in: [2] } });
where<object>({});

// Names of fields that look like paths win over paths.
interface Dotted {
  "a.b": number;
  a: { c: string };
}
where<Dotted>({ "a.b": 3, "a.c": "x" });
// @ts-expect-error the field's type
where<Dotted>({ "a.b": "x" });

// Generic code can take filters of its callers.
async function newest<Meta extends { year: number }>(docs: Collection<Meta>, filter: Filter<Meta>) {
  return docs.search([1], { filter });
}

const path: FieldPath<Deep> = "author.name";
// @ts-expect-error no such path
const wrong: FieldPath<Deep> = "author.nom";

export { newest, path, wrong };
