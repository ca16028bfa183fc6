import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { type Metric, RuLake, type StoredRecord } from "rulake";
import { beforeAll, describe, expect, it } from "vitest";
import { cacheDir, inRoot } from "../../scripts/paths.mjs";
import { ids, noise, scratchDirectory } from "../lake/scratch.js";

const scratch = scratchDirectory();
const target = path.join(cacheDir, "upstream");
const run = promisify(execFile);

/** The program in `test/upstream`, on the upstream crates. */
async function upstream(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(path.join(target, "debug", "upstream"), args, { maxBuffer: 1 << 28 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

interface Hit {
  id: number;
  score: number;
}

beforeAll(async () => {
  mkdirSync(target, { recursive: true });
  const manifest = inRoot("test", "upstream", "Cargo.toml");
  const args = ["build", "--locked", "--manifest-path", manifest, "--target-dir", target];
  await run("cargo", args, { maxBuffer: 1 << 26 });
}, 600_000);

describe("the upstream crates", () => {
  it.each(["l2", "cosine"] as const)("read what we publish (%s)", async (metric: Metric) => {
    await using lake = await RuLake.open({ memory: true });
    const docs = await lake.collection("docs", { metric });
    const vectors = Array.from({ length: 500 }, (_, i) => noise(24, i + 1).map((x) => x * (1 + (i % 3))));
    await docs.upsert(vectors.map((vector, i) => ({ id: `doc-${i}`, vector, text: `text ${i}` })));
    await docs.delete({ ids: ["doc-7"] });
    const dir = scratch();
    const options = { rotationSeed: 2n ** 64n - 1n, rerankFactor: 100, piiPolicy: "none", memoryClass: "m" };
    const { witness, files = [] } = await docs.publishBundle(dir, options);
    const query = noise(24, 1000);
    // As long as the vectors in their index, so that its distances and our similarities say the same.
    const length = metric === "cosine" ? Math.hypot(...query) : 1;
    const scaled = JSON.stringify([...query].map((x) => x / length));
    const name = files.find((file) => file.role === "vectors")?.name ?? "";
    const theirs = await upstream("read", dir, name, scaled, "10");
    const stored = JSON.parse(readFileSync(path.join(dir, "table.rulake.json"), "utf8"));
    const read = JSON.parse(theirs.json as string);
    expect(read).toEqual({ ...stored, content: undefined });
    expect(read.rvf_witness).toBe(witness);
    expect(theirs.json).toContain(`"rotation_seed": ${2n ** 64n - 1n}`);
    expect(theirs.rows).toBe(499);

    const order: StoredRecord[] = [];
    for await (const record of docs.scan({ include: ["vector"] })) order.push(record);
    expect(theirs.ids).toEqual(order.map((_, i) => i));
    expect((theirs.vectors as number[][]).map((row) => Float32Array.from(row))).toEqual(
      order.map((record) => record.vector),
    );
    const hits = await docs.search(query, { k: 10 });
    expect((theirs.byIndex as Hit[]).map(({ id }) => order[id]?.id)).toEqual(ids(hits));
    for (const [i, { score }] of (theirs.byIndex as Hit[]).entries()) {
      const distance = hits[i]?.distance ?? Number.NaN;
      // Of vectors of length 1, the squared distance is 2 - 2 cos.
      expect(score).toBeCloseTo(metric === "cosine" ? 2 * distance : distance ** 2, 3);
    }
    if (metric === "l2") expect(theirs.byVectors).toEqual(theirs.byIndex);
  });

  it("write what we read", async () => {
    const dir = scratch();
    const theirs = await upstream("write", dir, "300", "17");
    const { query } = theirs as { query: number[] };
    const options = { allowUnverified: true, expect: { witness: theirs.witness as string } };
    for (const file of [undefined, "c.ruvec1"]) {
      await using docs = await RuLake.openBundle(dir, { ...options, file });
      expect([docs.size, docs.dimensions, docs.metric]).toEqual([300, 17, "l2"]);
      expect(docs.bundle).toMatchObject({
        dataRef: theirs.dataRef,
        rotationSeed: 2n ** 64n - 1n,
        rerankFactor: 64,
      });
      const stored: StoredRecord[] = [];
      for await (const record of docs.scan({ include: ["vector"] })) stored.push(record);
      const expected = file === undefined ? stored.map((_, i) => i) : (theirs.ids as number[]);
      expect(ids(stored)).toEqual(expected.map(String));
      expect(stored.map((record) => record.vector)).toEqual(
        (theirs.vectors as number[][]).map((row) => Float32Array.from(row)),
      );
      const hits = await docs.search(query, { k: 10 });
      const found = (theirs.hits as Hit[]).map(({ id, score }) => [String(expected[id]), score]);
      expect(ids(hits)).toEqual(found.map(([id]) => id));
      for (const [i, hit] of hits.entries())
        expect(hit.distance ** 2).toBeCloseTo(found[i]?.[1] as number, 3);
    }
  });

  it("warm from a bundle that went through us", async () => {
    const [dir, ours] = [scratch(), scratch()];
    const { query } = (await upstream("write", dir, "200", "9")) as { query: number[] };
    await using docs = await RuLake.openBundle(dir, { allowUnverified: true, file: "c.ruvec1" });
    const { files = [] } = await docs.publishBundle(ours, { rerankFactor: 200 });
    const name = files.find((file) => file.role === "vectors")?.name ?? "";
    const theirs = await upstream("read", ours, name, JSON.stringify(query), "5");
    expect(theirs.rows).toBe(200);
    expect((theirs.byVectors as Hit[]).map((hit) => String(hit.id))).toEqual(
      ids(await docs.search(query, { k: 5 })),
    );
  });
});
