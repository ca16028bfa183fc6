import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Collection, RabitqPlusIndex, RuLake, RuLakeError } from "rulake";
import { expect, it } from "vitest";
import { failure, ids, noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const DIMENSIONS = 32;
const RECORDS = 6000;
const PAGE = 4096;
const base = noise(RECORDS * DIMENSIONS, 5);

const vector = (i: number): Float32Array => base.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS);
const records = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => ({
    id: `k${from + at}`,
    vector: vector(from + at),
    text: `record ${from + at} ${(from + at) * 7919}`.repeat(3),
    metadata: { n: from + at },
  }));

/** A lake whose `docs` have a segment, with something to compact; its files are too large to be copied on opening. */
async function lakeOf(place: string): Promise<void> {
  const lake = await RuLake.open(place);
  const docs = await lake.collection("docs");
  await docs.upsert([...records(0, RECORDS), { id: "gone", vector: vector(0) }]);
  await docs.compact();
  await docs.delete({ ids: ["gone"] });
  const other = await lake.collection("other");
  await other.upsert(records(0, 10));
  await lake.close();
}

/** The files of segments of `docs` that are mapped. */
function mapped(place: string): string[] {
  const all = readdirSync(path.join(place, "docs", "seg"), { recursive: true, withFileTypes: true });
  const files = all.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return files.filter((file) => statSync(file).size > 70_000);
}

/** What a call gives, or the code of its error. */
async function outcome<T>(work: Promise<T>): Promise<T | string> {
  try {
    return await work;
  } catch (error) {
    if (RuLakeError.isInstance(error)) return error.code;
    throw error;
  }
}

/** Bound of the last filter: the answers to one that was asked before are remembered. */
let bound = 2500;

/** Reads everything in many ways; each answer is right, or the code of an error. Gives the codes. */
async function useAll(docs: Collection): Promise<Set<string>> {
  const codes = new Set<string>();
  async function expectOf<T>(work: Promise<T>, right: (answer: T) => void): Promise<void> {
    const answer = await outcome(work);
    if (typeof answer === "string") codes.add(answer);
    else right(answer);
  }
  for (const i of [0, 1, 2999, 3000, 5998, 5999]) {
    await expectOf(docs.search(vector(i), { k: 1 }), (hits) => expect(ids(hits)).toEqual([`k${i}`]));
    await expectOf(docs.get([`k${i}`], { include: ["vector", "text", "metadata"] }), ([one]) => {
      expect(one).toMatchObject({ text: records(i, i + 1)[0]?.text, metadata: { n: i } });
      expect(one?.vector).toEqual(vector(i));
    });
  }
  bound++;
  await expectOf(docs.count({ n: { $gte: bound } }), (count) => expect(count).toBe(RECORDS - bound));
  const scanned = async () => {
    const found: string[] = [];
    for await (const { id } of docs.scan({ include: ["vector", "text"] })) found.push(id);
    return found;
  };
  await expectOf(scanned(), (found) => expect(found.sort()).toEqual(ids(records(0, RECORDS)).sort()));
  return codes;
}

it("a file that another program cuts short is an error, not the end of the process", async () => {
  const place = scratch();
  await lakeOf(place);
  const names = new Set(mapped(place).map((file) => path.basename(file)));
  expect([...names].sort()).toEqual(["filter.rbm", "index.rbq", "rows.arrow", "rows.idx"]);
  for (const file of mapped(place)) {
    const bytes = readFileSync(file);
    for (const length of [0, PAGE, Math.floor(bytes.length / 2 / PAGE) * PAGE]) {
      const lake = await RuLake.open(place, { cacheBytes: 0 });
      const [docs, other] = [await lake.collection("docs"), await lake.collection("other")];
      expect(await useAll(docs)).toEqual(new Set());
      truncateSync(file, length);
      expect(await useAll(docs), `${path.basename(file)} cut to ${length}`).toEqual(
        new Set(["CORRUPT_FILE"]),
      );
      expect((await docs.verify()).problems.map((problem) => path.basename(problem.file))).toContain(
        path.basename(file),
      );
      // A merge makes the filters' index anew.
      if (!file.endsWith("filter.rbm")) expect((await failure(docs.compact())).code).toBe("CORRUPT_FILE");
      // Whoever does not need the file goes on.
      expect(ids(await other.search(vector(3), { k: 1 }))).toEqual(["k3"]);
      await outcome(docs.upsert(records(0, 5)));
      await other.upsert(records(10, 20));
      expect(await other.count()).toBe(20);
      await other.delete({ ids: ids(records(10, 20)) });
      writeFileSync(file, bytes);
      await lake.close();
    }
  }
  const lake = await RuLake.open(place);
  const docs = await lake.collection("docs");
  expect(await useAll(docs)).toEqual(new Set());
  expect((await docs.verify()).ok).toBe(true);
  await lake.close();
});

it("neither is that of a loaded index, which is then not saved", async () => {
  const [file, copy] = [`${scratch()}.rbq`, `${scratch()}.rbq`];
  const built = await RabitqPlusIndex.build(base, { dimensions: DIMENSIONS, metric: "l2" });
  await built.save(file);
  await built.save(copy);
  const before = readFileSync(copy);
  const index = await RabitqPlusIndex.load(file);
  expect((await index.search(vector(77), 1))[0]?.id).toBe(77);
  truncateSync(file, PAGE);
  const error = await failure(index.search(vector(77), 1));
  expect(error.code).toBe("CORRUPT_FILE");
  expect(error.context).toMatchObject({ path: file });
  expect((await failure(index.save(copy))).code).toBe("CORRUPT_FILE");
  expect(readFileSync(copy).equals(before)).toBe(true);
  expect((await failure(index.compact())).code).toBe("CORRUPT_FILE");
  expect((await built.search(vector(77), 1))[0]?.id).toBe(77);
});
