import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { type RecordInput, RuLake } from "rulake";
import { expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { scratchDirectory } from "../lake/scratch.js";
import { pythonEnvironment } from "../python-environment.js";

const scratch = scratchDirectory();
const requirements = ["pyarrow==26.0.1", "polars==2.1.0", "duckdb==2.0.0"];

type Row = [string, string | null, string | null];

interface Read {
  pyarrow: Row[];
  polars: Row[];
  duckdb: Row[];
  counted: number;
}

function record(i: number): RecordInput {
  const id = i % 100 === 0 ? `ключ ${i} 🙂` : `r${i}`;
  if (i % 11 === 0) return { id, vector: [i, 1] };
  const text = i % 13 === 0 ? "" : `naïve "text" ${i}\n日本\u0000`.repeat(i === 501 ? 10_000 : 1 + (i % 20));
  return { id, vector: [i, 1], text, metadata: { z: i / 3, n: i, a: { "é.": [null, true, `${i}`] } } };
}

/** Rows in their files, in order. */
function rowFiles(lake: string): string[] {
  const segments = path.join(lake, "docs", "seg");
  // Names of segments sort by time.
  return readdirSync(segments)
    .sort()
    .map((segment) => path.join(segments, segment, "rows.arrow"));
}

it("rows.arrow is what pyarrow, polars and DuckDB read", async () => {
  const found = await pythonEnvironment("arrow-readers", requirements, true);
  if ("missing" in found) throw new Error(found.missing);
  const place = scratch();
  const all = Array.from({ length: 4000 }, (_, i) => record(i));
  for (const half of [all.slice(0, 2500), all.slice(2500)]) {
    const lake = await RuLake.open(place);
    await (await lake.collection("docs")).upsert(half);
    // The log is long enough to be flushed.
    await lake.close();
  }
  const files = rowFiles(place);
  expect(files.length).toBe(2);

  const expected: Row[] = all.map(({ id = "", text = null, metadata }) => {
    return [id, text, metadata ? JSON.stringify(metadata) : null];
  });
  await using lake = await RuLake.open(place, { readOnly: true });
  const docs = await lake.collection<{ n: number }>("docs");
  const scanned: Row[] = [];
  for await (const { id, text = null, metadata } of docs.scan()) {
    scanned.push([id, text, metadata ? JSON.stringify(metadata) : null]);
  }
  expect(scanned).toEqual(expected);

  const program = inRoot("test/heavy/python/read_rows.py");
  const options = { maxBuffer: 1 << 28, timeout: 120_000 };
  const { stdout } = await promisify(execFile)(found.python, [program, ...files], options);
  const read = JSON.parse(stdout) as Read;
  expect(read.pyarrow).toEqual(expected);
  expect(read.polars).toEqual(expected);
  expect(read.duckdb).toEqual(expected);
  expect(read.counted).toBe(await docs.count({ n: { $gte: 2000 } }));
});
