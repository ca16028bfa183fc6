import { spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import {
  cpuFeatures,
  FlatF32Index,
  loadIndex,
  RabitqAsymIndex,
  RabitqIndex,
  RabitqPlusIndex,
  RuLakeError,
} from "rulake";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classes, clustered, metrics, row } from "./dataset.js";

const dimensions = 40;
const vectors = clustered(500, dimensions);
const queries = clustered(10, dimensions, 3);

let dir: string;
const file = (name: string) => path.join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "rulake-index-"));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe.each(Object.entries(classes))("%s", (name, Index) => {
  it.each(metrics)("answers the same after saving, bit for bit (%s)", async (metric) => {
    const index = await Index.build(vectors, {
      dimensions,
      metric,
      ids: Array.from({ length: 500 }, (_, i) => 3 * i - 70),
    });
    await index.delete([-70, -67, 200]);
    await index.add([2 ** 40, 8], clustered(2, dimensions, 5));
    const before = await index.searchBatch(queries, 25);
    const target = file(`${name}-${metric}`);
    await index.save(target);
    for (const verify of ["auto", "full", "lazy"] as const) {
      const loaded = await Index.load(pathToFileURL(target), { verify });
      expect(loaded).toMatchObject({ kind: name, metric, dimensions, size: index.size, bits: index.bits });
      expect(await loaded.searchBatch(queries, 25)).toEqual(before);
      expect(await loaded.search(row(queries, dimensions, 1), 9)).toEqual(
        await index.search(row(queries, dimensions, 1), 9),
      );
      expect(loaded.stats()).toMatchObject({ deleted: 0, mappedBytes: expect.any(Number) });
      expect(loaded.stats().mappedBytes).toBeGreaterThan(0);
      loaded.close();
    }
    expect(await loadIndex(target)).toBeInstanceOf(Index);
    // Changes go on after loading, and saving over the very file that is mapped is safe.
    const loaded = await Index.load(target);
    await loaded.delete([8]);
    await loaded.add([9], row(queries, dimensions, 0));
    await loaded.save(target);
    const again = await Index.load(target);
    expect(await again.searchBatch(queries, 25)).toEqual(await loaded.searchBatch(queries, 25));
    expect(again.has(8)).toBe(false);
    expect(readdirSync(dir).filter((entry) => entry.startsWith(`${name}-${metric}`))).toHaveLength(1);
  });

  it("gives the same file for the same input", async () => {
    const bytes = [];
    for (const copy of ["a", "b"]) {
      const index = await Index.build(vectors, { dimensions, seed: 5 });
      await index.save(file(copy));
      bytes.push(readFileSync(file(copy)));
    }
    expect(bytes[0]?.equals(bytes[1] ?? Buffer.alloc(0))).toBe(true);
  });

  it("is told from the others", async () => {
    const index = await Index.build(vectors, { dimensions });
    await index.save(file("kind"));
    const Other = name === "RabitqIndex" ? FlatF32Index : RabitqIndex;
    await expect(Other.load(file("kind"))).rejects.toMatchObject({
      code: "INDEX_KIND_MISMATCH",
      context: { got: name },
      hint: expect.stringContaining(`${name}.load`),
    });
  });

  it("can be empty", async () => {
    const index = await Index.build(new Float32Array(0), { dimensions });
    await index.save(file("empty"));
    const loaded = await Index.load(file("empty"));
    expect(loaded.size).toBe(0);
    expect(await loaded.search(row(queries, dimensions, 0), 3)).toEqual([]);
  });
});

describe("a process that is killed while it saves", () => {
  const script = `
    import { readdirSync } from "node:fs";
    import path from "node:path";
    import { FlatF32Index } from "rulake";
    const file = process.argv[1];
    const index = await FlatF32Index.build(new Float32Array(1 << 24), { dimensions: 64 });
    index.save(file);
    const look = () => {
      const isBegun = readdirSync(path.dirname(file)).some((name) => name.endsWith(".tmp"));
      if (isBegun) process.kill(process.pid, "SIGKILL");
      setImmediate(look);
    };
    look();
  `;

  it("leaves the old file, and nothing after the next save", async () => {
    const folder = mkdtempSync(path.join(dir, "killed-"));
    const target = path.join(folder, "index");
    const index = await FlatF32Index.build(vectors, { dimensions });
    await index.save(target);
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script, target], {
      cwd: import.meta.dirname,
      encoding: "utf8",
    });
    expect(child, child.stderr).toMatchObject({ signal: "SIGKILL" });
    expect(readdirSync(folder)).toHaveLength(2);
    expect((await loadIndex(target)).size).toBe(500);
    await Promise.all(Array.from({ length: 8 }, () => index.save(target)));
    expect(readdirSync(folder)).toEqual(["index"]);
  });
});

describe("every CPU level", () => {
  const script = `
    import { createHash } from "node:crypto";
    import { readFileSync } from "node:fs";
    import { cpuFeatures, loadIndex, RabitqPlusIndex } from "rulake";
    const [file, queriesFile, copy, dimensions] = process.argv.slice(1);
    const queries = new Float32Array(new Uint8Array(readFileSync(queriesFile)).buffer);
    const index = await loadIndex(file);
    const { ids, distances } = await index.searchBatch(queries, 50);
    const hash = createHash("sha256").update(new Uint8Array(ids.buffer)).update(new Uint8Array(distances.buffer));
    const built = await RabitqPlusIndex.build(queries, { dimensions: Number(dimensions), metric: "l2" });
    await built.save(copy);
    hash.update(readFileSync(copy));
    console.log(JSON.stringify({ level: cpuFeatures().level, hash: hash.digest("hex") }));
  `;

  it.each(Object.entries(classes))("gives the same bits for a %s", async (name, Index) => {
    const index = await Index.build(vectors, { dimensions });
    await index.save(file(name));
    writeFileSync(file("queries"), new Uint8Array(queries.buffer));
    const seen = new Map<string, string>();
    for (const level of cpuFeatures().available) {
      const arguments_ = [
        "--input-type=module",
        "-e",
        script,
        file(name),
        file("queries"),
        file(`copy-${level}`),
        String(dimensions),
      ];
      const child = spawnSync(process.execPath, arguments_, {
        env: { ...process.env, RULAKE_SIMD: level },
        encoding: "utf8",
      });
      expect(child.stderr).toBe("");
      const result = JSON.parse(child.stdout) as { level: string; hash: string };
      expect(result.level).toBe(level);
      seen.set(level, result.hash);
    }
    expect(new Set(seen.values()).size).toBe(1);
  });

  it("reports a level that does not exist", () => {
    const child = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        'import { cpuFeatures } from "rulake"; console.log(cpuFeatures().problem)',
      ],
      { env: { ...process.env, RULAKE_SIMD: "mmx" }, encoding: "utf8" },
    );
    expect(child.stdout).toContain("mmx");
  });
});

describe("damage", () => {
  /** Loads and uses a file; returns the code it fails with, or the answers. */
  async function outcome(target: string, verify: "full" | "lazy") {
    try {
      const index = await loadIndex(target, { verify });
      try {
        const { ids, distances } = await index.searchBatch(queries, 10);
        const rows = index.kind === "RabitqIndex" ? [] : [...index];
        return { index: [index.kind, index.size, index.metric, index.dimensions], ids, distances, rows };
      } finally {
        index.close();
      }
    } catch (error) {
      if (RuLakeError.isInstance(error)) return error.code;
      throw error;
    }
  }

  const small = clustered(4, dimensions);
  const codes = ["CORRUPT_FILE", "UNSUPPORTED_FORMAT"];

  it.each([
    ["FlatF32Index", FlatF32Index],
    ["RabitqIndex", RabitqIndex],
    ["RabitqPlusIndex", RabitqPlusIndex],
  ] as const)("every flipped byte of a %s is found", async (name, Index) => {
    const index = await Index.build(small, { dimensions, ids: [5, 3, 9, -2] });
    const target = file(`flip-${name}`);
    await index.save(target);
    const good = readFileSync(target);
    const intact = await outcome(target, "full");
    expect(intact).not.toBeTypeOf("string");
    const missed: number[] = [];
    // In place: writing the whole file anew costs milliseconds each time.
    const handle = openSync(target, "r+");
    try {
      for (const [position, byte] of good.entries()) {
        writeSync(handle, Uint8Array.of(byte ^ (1 << (position % 8))), 0, 1, position);
        const full = await outcome(target, "full");
        if (typeof full !== "string" || !codes.includes(full)) missed.push(position);
        const lazy = await outcome(target, "lazy");
        // Lazily, a byte that nothing reads may stay unnoticed, but never with another answer.
        const noticed = typeof lazy === "string" ? codes.includes(lazy) : isDeepStrictEqual(lazy, intact);
        if (!noticed) missed.push(position);
        writeSync(handle, Uint8Array.of(byte), 0, 1, position);
      }
    } finally {
      closeSync(handle);
    }
    expect(await outcome(target, "full")).toEqual(intact);
    expect(missed).toEqual([]);
  });

  it("every truncation is found", async () => {
    const index = await RabitqPlusIndex.build(small, { dimensions });
    await index.save(file("whole"));
    const good = readFileSync(file("whole"));
    writeFileSync(file("short"), good);
    for (let length = good.length - 1; length >= 0; length--) {
      truncateSync(file("short"), length);
      expect(codes).toContain(await outcome(file("short"), "full"));
      expect(codes).toContain(await outcome(file("short"), "lazy"));
    }
    writeFileSync(file("long"), Buffer.concat([good, Buffer.from([0])]));
    const longer = await outcome(file("long"), "full");
    if (typeof longer === "string") expect(codes).toContain(longer);
  });

  it("foreign files are refused by name", async () => {
    writeFileSync(file("text"), "id,text\n1,hello\n".repeat(50));
    copyFileSync(process.execPath, file("program"));
    for (const name of ["text", "program"]) {
      await expect(loadIndex(file(name))).rejects.toMatchObject({
        code: "UNSUPPORTED_FORMAT",
        name: "IndexError",
        context: { path: file(name) },
      });
    }
    await expect(loadIndex(dir)).rejects.toMatchObject({
      code: expect.stringMatching(/^(IO|UNSUPPORTED_FORMAT)$/),
    });
  });

  it("missing files and folders are told apart from damage", async () => {
    await expect(RabitqAsymIndex.load(file("none"))).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
      context: { path: file("none") },
    });
    const index = await FlatF32Index.build(small, { dimensions });
    await expect(index.save(file("no-such-folder/index"))).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(index.save(dir)).rejects.toMatchObject({ code: "IO", category: "infrastructure" });
    expect(readdirSync(dir).some((entry) => entry.includes(".tmp"))).toBe(false);
  });
});

describe("rbpx", () => {
  it("round-trips what it can hold and refuses the rest", async () => {
    const index = await RabitqPlusIndex.build(vectors, { dimensions, metric: "l2" });
    await index.save(file("x.rbpx"));
    const loaded = await loadIndex(file("x.rbpx"));
    expect(loaded).toBeInstanceOf(RabitqPlusIndex);
    const exact = { recallTarget: 1 };
    expect(await loaded.searchBatch(queries, 10, exact)).toEqual(await index.searchBatch(queries, 10, exact));
    const cosine = await RabitqPlusIndex.build(vectors, { dimensions });
    await expect(cosine.save(file("y.rbpx"))).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });
});
