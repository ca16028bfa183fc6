import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Collection, RuLake, type RuLakeError } from "rulake";
import { afterEach, describe, expect, it } from "vitest";
import { failure, ids, noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const rounds = process.env.RULAKE_HEAVY === "1" ? 1000 : 50;
const script = fileURLToPath(new URL("writer-process.mjs", import.meta.url));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A process that writes, and the lines it has printed. */
async function startWriter(place: string, ...args: string[]) {
  const child = spawn(process.execPath, [script, place, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines: string[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const printed = async (count: number) => {
    while (lines.length < count) {
      if (child.exitCode !== null) throw new Error("the writer ended early");
      await sleep(1);
    }
  };
  await printed(1);
  return {
    child,
    acknowledges: (writes: number) => printed(1 + writes),
    kill: async (): Promise<string[]> => {
      child.kill("SIGKILL");
      await ended;
      return lines.slice(1);
    },
  };
}

async function all(docs: Collection) {
  const records = [];
  for await (const record of docs.scan()) records.push(record);
  return records;
}

describe("a process killed at any moment", () => {
  it(
    `has lost nothing acknowledged and left no half of a batch, ${rounds} times`,
    async () => {
      const place = scratch();
      const expected = new Map<string, string>();
      const noted = new Map<string, string>();
      let next = 0;
      let acknowledged = 0;
      for (let i = 0; i < rounds; i++) {
        const writer = await startWriter(place, String(next));
        // Mostly soon, while few writes separate two kills; sometimes later.
        await writer.acknowledges(Math.floor(Math.random() ** 2 * 15));
        await sleep(Math.random() ** 2 * 40);
        const lines = await writer.kill();
        for (const line of lines) {
          const [batch = "", text = "", note = "-"] = line.split(" ");
          expected.set(batch, text);
          if (note !== "-") noted.set(batch, note);
        }
        acknowledged += lines.length;
        next += lines.length;
        await using lake = await RuLake.open(place);
        const docs = await lake.collection("docs");
        const found = new Map<string, Set<string>>();
        for await (const { id, text, metadata } of docs.scan()) {
          expect(metadata).toEqual({ round: Number(text) });
          const batch = id.split("-")[0] ?? "";
          found.set(batch, (found.get(batch) ?? new Set()).add(text ?? ""));
        }
        const ledger = await lake.collection("ledger");
        const notes = new Map<string, string>();
        for await (const { id, text } of ledger.scan()) notes.set(id, text ?? "");
        // The one write that was under way may be there or not.
        const underWay = { batch: String(next % 5), text: next % 9 === 8 ? "gone" : String(next) };
        for (let batch = 0; batch < 5; batch++) {
          const texts = [...(found.get(String(batch)) ?? ["gone"])];
          expect(texts, "whole batches").toHaveLength(1);
          const allowed = [expected.get(String(batch)) ?? "gone"];
          if (String(batch) === underWay.batch) allowed.push(underWay.text);
          expect(allowed).toContain(texts[0]);
          const happened = texts[0] === underWay.text && String(batch) === underWay.batch;
          const before = expected.get(String(batch)) ?? "gone";
          if (happened) expected.set(String(batch), underWay.text);
          // A session is there in both collections or in neither; where the texts are the same anyway, both will do.
          const notesAllowed = [noted.get(String(batch))];
          if (happened && next % 4 === 1) {
            if (before !== underWay.text) notesAllowed.pop();
            notesAllowed.push(String(next));
          }
          expect(notesAllowed).toContain(notes.get(String(batch)));
          const note = notes.get(String(batch));
          if (note !== undefined) noted.set(String(batch), note);
        }
        const counted = [...found.keys()].length * 20;
        expect(docs.size).toBe(counted);
        expect(await docs.search(noise(8), { k: 200 })).toHaveLength(counted);
        if (i % 5 === 0) {
          expect(await docs.verify()).toMatchObject({ problems: [] });
          expect(await ledger.verify()).toMatchObject({ problems: [] });
        }
        next += 1;
      }
      expect(acknowledged).toBeGreaterThan(rounds);
    },
    rounds * 5_000,
  );
});

describe("a lake that another process writes to", () => {
  it("is locked, names the holder, and is free when that process is gone", async () => {
    const place = scratch();
    const writer = await startWriter(place, "0", "open");
    const error = await failure(RuLake.open(place));
    expect(error.code).toBe("LAKE_LOCKED");
    expect(error.category).toBe("transient");
    expect(error.isRetryable()).toBe(true);
    expect(error.message).toMatch(
      new RegExp(`process ${writer.child.pid} on .+, since \\d{4}-\\d\\d-\\d\\dT`),
    );
    const reader = await RuLake.open(place, { readOnly: true });
    expect(await reader.list()).toEqual(["docs", "ledger"]);
    await reader.close();
    await writer.kill();
    const lake = await RuLake.open(place);
    await lake.close();
  });
});

/** A lake with a checkpoint and a log, and its directory. */
async function sample(): Promise<string> {
  const place = scratch();
  const lake = await RuLake.open(place);
  const docs = await lake.collection("docs");
  await docs.upsert([{ id: "a", vector: [1, 0], text: "checkpointed", metadata: { n: 1 } }]);
  await docs.compact();
  await docs.upsert([{ id: "b", vector: [0, 1], text: "logged" }]);
  await docs.upsert([{ id: "c", vector: [1, 1], text: "logged" }]);
  await lake.close();
  return place;
}

function only(place: string, folder: string, suffix: string): string {
  const dir = path.join(place, "docs", folder);
  const name = readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(suffix))
    .sort()
    .at(-1);
  if (name === undefined) throw new Error(`no ${suffix} in ${dir}`);
  return path.join(dir, name);
}

async function openDocs(place: string) {
  const lake = await RuLake.open(place);
  try {
    return { lake, docs: await lake.collection("docs") };
  } catch (error) {
    await lake.close();
    throw error;
  }
}

describe.skipIf(process.platform === "win32")("a disk that takes no more", () => {
  it("fails the write, refuses later ones, keeps reading, and loses nothing acknowledged", async () => {
    const place = scratch();
    const work = `
      import { RuLake } from "rulake";
      const lake = await RuLake.open(${JSON.stringify(place)});
      const docs = await lake.collection("docs");
      const codes = [];
      let written = 0;
      for (let i = 0; i < 200 && codes.length < 2; i++) {
        try {
          await docs.upsert([{ id: "r" + i, vector: [i, 1], text: "x".repeat(4096) }]);
          written++;
        } catch (error) {
          codes.push(error.code + " " + error.category);
        }
      }
      const found = (await docs.search([1, 1], { k: 1000 })).length;
      console.log(JSON.stringify({ codes, written, found, size: docs.size }));
    `;
    // A limit on the size of files stands in for a full disk: 128 KiB.
    const script = `trap '' XFSZ; ulimit -f 256; exec "$0" --input-type=module -e "$1"`;
    const output = execFileSync("sh", ["-c", script, process.execPath, work], { encoding: "utf8" });
    const { codes, written, found, size } = JSON.parse(output);
    expect(codes).toEqual(["IO infrastructure", "WRITER_POISONED infrastructure"]);
    expect(written).toBeGreaterThan(10);
    expect([found, size]).toEqual([written, written]);
    const { lake, docs } = await openDocs(place);
    expect(docs.size).toBe(written);
    await docs.upsert([{ id: "after", vector: [1, 1] }]);
    expect(await docs.verify()).toMatchObject({ ok: true });
    await lake.close();
  });
});

/** A file system of its own, of this many bytes; why not, if that is not possible here. */
function smallDisk(place: string, bytes: number): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can mount one";
  mkdirSync(place, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", place], { stdio: "pipe" });
  } catch (error) {
    return `mount: ${String((error as { stderr?: unknown }).stderr ?? error)}`;
  }
  return undefined;
}

describe("a disk that is full", () => {
  it("fails writes, flushes and merges clearly, harms no reader, and goes on after reopening with space", async ({
    skip,
  }) => {
    const place = scratch();
    const why = smallDisk(place, 1 << 20);
    if (why !== undefined) {
      console.log(`skipped: a small disk is needed, and ${why}`);
      skip(why);
    }
    try {
      const disk = path.join(place, "lake");
      const filler = path.join(place, "filler");
      const expected = new Map<string, string>();
      let failed = 0;
      // Each round leaves another amount of space, so that the disk is full at another place each time.
      for (let round = 0; round < 40; round++) {
        const lake = await RuLake.open(disk);
        const docs = await lake.collection("docs");
        expect(new Map((await all(docs)).map(({ id, text }) => [id, text ?? ""]))).toEqual(expected);
        const space = statfsSync(place);
        const free = space.bavail * space.bsize;
        writeFileSync(filler, new Uint8Array(Math.max(0, free - 4096 * (round % 20))));
        for (let i = 0; i < 6; i++) {
          const record = {
            id: `r${(round * 5 + i) % 12}`,
            vector: [i, round],
            text: "x".repeat(3000) + round,
          };
          try {
            await docs.upsert([record]);
            expected.set(record.id, record.text);
            if (i % 3 === 2) await docs.compact();
          } catch (error) {
            failed++;
            expect((error as RuLakeError).category).toBe("infrastructure");
            expect(["IO", "WRITER_POISONED"]).toContain((error as RuLakeError).code);
            expect(await docs.search([1, 1], { k: 50 })).toHaveLength(expected.size);
          }
        }
        await lake.close().catch((error) => expect(error.category).toBe("infrastructure"));
        rmSync(filler);
      }
      expect(failed).toBeGreaterThan(20);
      await using lake = await RuLake.open(disk);
      const docs = await lake.collection("docs");
      await docs.compact();
      expect(await docs.verify()).toMatchObject({ ok: true });
    } finally {
      execFileSync("umount", ["-l", place]);
    }
  }, 60_000);
});

describe("a reopened collection", () => {
  it("has what the checkpoint and the log hold", async () => {
    const place = await sample();
    const { lake, docs } = await openDocs(place);
    expect(ids(await docs.search([1, 0.1], { k: 9 }))).toEqual(["a", "c", "b"]);
    expect((await docs.stats()).walBytes).toBeGreaterThan(0);
    await docs.delete({ ids: ["b"] });
    await lake.close();
    const again = await openDocs(place);
    expect(ids(await again.docs.get(["a", "b", "c"]))).toEqual(["a", "c"]);
    await again.lake.close();
  });

  it("has what was written with durability 'buffered'", async () => {
    const place = scratch();
    const lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "a", vector: [1] }], { durability: "buffered" });
    await docs.delete({ ids: ["x"] }, { durability: "buffered" });
    await lake.close();
    const { lake: again, docs: found } = await openDocs(place);
    expect(found.size).toBe(1);
    await again.close();
  });

  it("cuts a torn tail off the log and goes on", async () => {
    const place = await sample();
    const log = only(place, "wal", ".log");
    const { size } = statSync(log);
    appendFileSync(log, readFileSync(log).subarray(32, 60));
    const { lake, docs } = await openDocs(place);
    expect(docs.size).toBe(3);
    expect(statSync(log).size).toBe(size);
    await docs.upsert([{ id: "d", vector: [2, 1] }]);
    await lake.close();
    const again = await openDocs(place);
    expect(again.docs.size).toBe(4);
    await again.lake.close();
  });

  it.each([
    ["wal", ".log", 80],
    ["manifest", ".json", 100],
    ["seg", "rows.arrow", 20],
    ["seg", "rows.arrow", 700],
    ["seg", "rows.idx", 20],
    ["seg", "index.rbq", 100],
  ])("tells damage in %s/*%s from a crash, and names the file", async (folder, suffix, at) => {
    const place = await sample();
    const file = only(place, folder, suffix);
    const bytes = readFileSync(file);
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    writeFileSync(file, bytes);
    const error = await failure(openDocs(place));
    expect(error.code).toBe("CORRUPT_FILE");
    expect(error.context.path).toBe(file);
    expect(error.category).toBe("permanent");
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    writeFileSync(file, bytes);
    const { lake, docs } = await openDocs(place);
    expect(await docs.verify()).toMatchObject({ ok: true });
    await lake.close();
  });

  it("is opened as far as it is intact with { recover: true }, and tells what is lost", async () => {
    const place = await sample();
    const file = only(place, "seg", "index.rbq");
    const bytes = readFileSync(file);
    bytes[100] = (bytes[100] ?? 0) ^ 4;
    writeFileSync(file, bytes);
    expect((await failure(openDocs(place))).hint).toContain("recover: true");
    expect((await failure(RuLake.open(place, { recover: true, readOnly: true }))).code).toBe(
      "INVALID_OPTION",
    );
    const lake = await RuLake.open(place, { recover: true });
    const docs = await lake.collection("docs");
    // The generation before and the log after it have everything.
    expect(docs.size).toBe(3);
    expect(docs.lost).toHaveLength(1);
    expect(docs.lost[0]).toMatch(/^generation \d+: .*index\.rbq/);
    expect(ids(await docs.search([1, 0.1], { k: 9 }))).toEqual(["a", "c", "b"]);
    await lake.close();
    const again = await openDocs(place);
    expect([again.docs.size, again.docs.lost]).toEqual([3, []]);
    await again.lake.close();
  });

  it("refuses the logs of another collection", async () => {
    const place = scratch();
    const lake = await RuLake.open(place);
    for (const name of ["x", "y"]) await (await lake.collection(name)).upsert([{ id: name }]);
    await lake.close();
    const [x, y] = ["x", "y"].map((name) => {
      const folder = path.join(place, name, "wal");
      return readdirSync(folder).map((file) => path.join(folder, file))[0] as string;
    }) as [string, string];
    const bytes = readFileSync(x);
    writeFileSync(x, readFileSync(y));
    writeFileSync(y, bytes);
    await using swapped = await RuLake.open(place);
    const error = await failure(swapped.collection("x"));
    expect(error.code).toBe("CORRUPT_FILE");
    expect(error.message).toContain("another collection");
  });

  it("finds with verify() that its files are gone", async () => {
    const place = scratch();
    await using lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "a" }]);
    await docs.compact();
    expect((await docs.verify()).ok).toBe(true);
    rmSync(path.join(place, "docs"), { recursive: true });
    expect((await docs.verify()).ok).toBe(false);
  });

  it("finds damage under its feet with verify()", async () => {
    const place = await sample();
    const { lake, docs } = await openDocs(place);
    const file = only(place, "manifest", ".json");
    const bytes = readFileSync(file);
    writeFileSync(file, Buffer.from(bytes).fill("x", 50, 51));
    const report = await docs.verify();
    expect(report.ok).toBe(false);
    expect(report.problems.map((problem) => problem.file)).toContain(file);
    writeFileSync(file, bytes);
    expect(await docs.verify()).toMatchObject({ ok: true, records: 3 });
    await lake.close();
  });
});
