import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type RecordInput, RuLake } from "rulake";
import { beforeAll, describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { noise, scratchDirectory } from "../lake/scratch.js";

const scratch = scratchDirectory();
const n = 1_000_000;
const dimensions = 32;

function* records(): Generator<RecordInput> {
  const numbers = noise(dimensions + 1000);
  for (let i = 0; i < n; i++) {
    const vector = numbers.subarray(i % 1000, (i % 1000) + dimensions);
    yield {
      id: `r${i}`,
      vector,
      text: `The text of record ${i}. `.repeat(6),
      metadata: { n: i, s: `v${i % 97}` },
    };
  }
}

interface Walked {
  rows: number;
  /** Bytes held above what was held after the first rows. */
  held: number;
  /** Most private bytes of the process. */
  most: number;
}

describe.skipIf(process.platform !== "linux")("a walk over a million records", () => {
  const place = scratch();
  beforeAll(async () => {
    await using lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    await docs.upsert(records(), { durability: "buffered" });
    expect(docs.size).toBe(n);
  }, 300_000);

  it.each(["scan", "scanBatches"])("by %s holds less than 10 MB", async (method) => {
    const program = inRoot("test/heavy/programs/walk.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program, place, method]);
    const walked = JSON.parse(stdout) as Walked;
    const mb = (bytes: number) => (bytes / 1e6).toFixed(1);
    console.log(`${method}: ${mb(walked.held)} MB held, ${mb(walked.most)} MB in the process at most`);
    expect(walked.rows).toBe(n);
    expect(walked.held).toBeLessThan(10e6);
  });
});
