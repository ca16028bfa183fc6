import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { type Collection, type Metric, RuLake, type StoredRecord } from "rulake";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { scratchDirectory } from "./scratch.js";

type Stored = { id: string; vector?: number[]; text?: string; metadata?: Record<string, unknown> };

interface Expected {
  collections: Record<string, Stored[]>;
  past?: { collection: string; snapshot: string; records: Stored[] };
  metadataIndex?: Record<string, string[]>;
}

const folder = inRoot("test/fixtures/lakes");
const scratch = scratchDirectory();
const everything = { include: ["vector", "text", "metadata"] as const };

/** Files below a directory, relative to it. */
function files(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
  const found = entries.filter((entry) => entry.isFile());
  return found.map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name))).sort();
}

const unpack = (file: string) => gunzipSync(readFileSync(file));

/** A copy of a golden lake, and what must be in it. */
function golden(name: string): { place: string; expected: Expected } {
  const place = scratch();
  for (const file of files(path.join(folder, name, "lake"))) {
    const target = path.join(place, file.replace(/\.gz$/, ""));
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, unpack(path.join(folder, name, "lake", file)));
  }
  return { place, expected: JSON.parse(String(unpack(path.join(folder, name, "expected.json.gz")))) };
}

function plain(record: StoredRecord): Stored {
  const { vector, ...rest } = record;
  return vector === undefined ? rest : { ...rest, vector: [...vector] };
}

async function rows(from: Pick<Collection, "scan">): Promise<Stored[]> {
  const all = [];
  for await (const record of from.scan({ include: [...everything.include] })) all.push(plain(record));
  return all;
}

function distance(metric: Metric, a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, n, i) => sum + n * (y[i] ?? 0), 0);
  if (metric === "l2") return Math.hypot(...a.map((n, i) => n - (b[i] ?? 0)));
  if (metric === "ip") return -dot(a, b);
  return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Searches for some of the vectors, and compares with all distances. */
async function checkSearches(docs: Collection, records: readonly Stored[]): Promise<void> {
  const known = records.filter((record) => record.vector !== undefined);
  for (let i = 0; i < known.length; i += Math.ceil(known.length / 20)) {
    const query = known[i]?.vector ?? [];
    const all = known.map((record) => distance(docs.metric, query, record.vector ?? []));
    const best = all.sort((a, b) => a - b).slice(0, 10);
    const hits = await docs.search(query, { k: 10, recallTarget: 1 });
    expect(hits.length).toBe(best.length);
    for (const [rank, hit] of hits.entries()) expect(hit.distance).toBeCloseTo(best[rank] ?? 0, 5);
  }
}

async function checkLake(lake: RuLake, expected: Expected): Promise<void> {
  expect(await lake.list()).toEqual(Object.keys(expected.collections).sort());
  for (const [name, records] of Object.entries(expected.collections)) {
    const collection = await lake.collection(name);
    expect(collection.metadataIndex).toEqual(expected.metadataIndex?.[name]);
    expect(await rows(collection)).toEqual(records);
    const some = records.filter((_, i) => i % 7 === 0);
    expect(
      (
        await collection.get(
          some.map(({ id }) => id),
          { include: [...everything.include] },
        )
      ).map(plain),
    ).toEqual(some);
    await checkSearches(collection, records);
    const matching = (accept: (metadata: Record<string, unknown>) => boolean) =>
      records.filter(({ metadata }) => metadata !== undefined && accept(metadata)).length;
    expect(await collection.count({ n: { $gte: 100 } })).toBe(matching(({ n }) => Number(n) >= 100));
    expect(await collection.count({ topic: "日本" })).toBe(matching(({ topic }) => topic === "日本"));
    expect(await collection.count({ "author.name": "a3" })).toBe(
      matching(({ author }) => (author as { name: string } | undefined)?.name === "a3"),
    );
    expect(await collection.count({ tags: { $contains: "t2" } })).toBe(
      matching(({ tags }) => (tags as string[] | undefined)?.includes("t2") === true),
    );
    expect(await collection.verify()).toMatchObject({ ok: true, problems: [], records: records.length });
  }
}

/** Changes every collection, and what is expected of it. */
async function writeOn(lake: RuLake, expected: Expected, round: string): Promise<Expected> {
  const collections: Expected["collections"] = {};
  for (const [name, records] of Object.entries(expected.collections)) {
    const collection = await lake.collection(name);
    const [first, second, ...others] = records;
    const vector = records.find((record) => record.vector)?.vector;
    const added = {
      id: `added ${round}`,
      text: "later",
      metadata: { n: 1e6 },
      ...(vector ? { vector } : {}),
    };
    const replaced = second ? [{ ...second, text: "replaced" }] : [];
    await collection.delete({ ids: first ? [first.id] : [] });
    await collection.upsert([added, ...replaced]);
    collections[name] = [...others, added, ...replaced];
  }
  return { ...expected, collections };
}

describe.each(readdirSync(folder).filter((name) => !name.includes(".")))("the golden lake '%s'", (name) => {
  it("is what was written", async () => {
    const { place, expected } = golden(name);
    await using lake = await RuLake.open(place);
    await checkLake(lake, expected);
  });

  it("shows the past it has kept", async () => {
    const { place, expected } = golden(name);
    await using lake = await RuLake.open(place);
    for (const collection of await lake.list()) {
      const docs = await lake.collection(collection);
      const history = await docs.history();
      expect(history.length).toBeGreaterThan(0);
      for (const { snapshot } of history) await (await docs.at(snapshot)).close();
    }
    if (expected.past === undefined) return;
    const docs = await lake.collection(expected.past.collection);
    await using past = await docs.at(expected.past.snapshot);
    expect(await rows(past)).toEqual(expected.past.records);
  });

  it("is left as it is by a reader", async () => {
    const { place, expected } = golden(name);
    const before = files(place).map((file) => [file, readFileSync(path.join(place, file), "latin1")]);
    const lake = await RuLake.open(place, { readOnly: true });
    await checkLake(lake, expected);
    await lake.close();
    expect(files(place).map((file) => [file, readFileSync(path.join(place, file), "latin1")])).toEqual(
      before,
    );
  });

  it("can be written on", async () => {
    const { place, expected } = golden(name);
    let now = expected;
    for (const compact of [false, true]) {
      const lake = await RuLake.open(place);
      now = await writeOn(lake, now, String(compact));
      if (compact)
        for (const collection of await lake.list()) await (await lake.collection(collection)).compact();
      await checkLake(lake, now);
      await lake.close();
      await using again = await RuLake.open(place);
      await checkLake(again, now);
    }
  });
});

it("golden lakes are of each kind", async () => {
  const kinds = [];
  for (const name of readdirSync(folder).filter((entry) => !entry.includes("."))) {
    await using lake = await RuLake.open(golden(name).place, { readOnly: true });
    kinds.push((await (await lake.collection("docs")).stats()).index);
  }
  expect(new Set(kinds)).toEqual(new Set(["FlatF32Index", "RabitqIvfIndex", "RabitqPlusIndex"]));
});
