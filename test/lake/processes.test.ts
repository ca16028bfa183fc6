import { rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RuLake } from "rulake";
import { afterEach, describe, expect, it } from "vitest";
import { Program } from "./processes/program.js";
import { failure, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const heavy = process.env.RULAKE_HEAVY === "1";
const seconds = heavy ? 600 : 4;
const readers = 8;

const programs: Program[] = [];
afterEach(() => Promise.all(programs.splice(0).map((program) => program.kill())));

function start(name: string, ...args: string[]): Program {
  const program = new Program(name, ...args);
  programs.push(program);
  return program;
}

interface Written {
  rounds: number;
  ok: boolean;
  problems: unknown[];
}

interface Read {
  reads: number;
  seen: number;
  problems: string[];
}

describe("one writing and many reading processes", () => {
  it(
    `agree on every state for ${seconds} s`,
    async () => {
      const [place, progress] = [scratch(), `${scratch()}.progress`];
      const writer = await start("writer.mjs", place, progress).started();
      const reading = Array.from({ length: readers }, (_, i) =>
        start("reader.mjs", place, progress, i % 2 === 0 ? "1" : "20"),
      );
      await sleep(seconds * 1000);
      const reports = await Promise.all(reading.map((reader) => reader.finish<Read>()));
      const written = await writer.finish<Written>();
      expect(reports.flatMap((report) => report.problems)).toEqual([]);
      expect(written).toMatchObject({ ok: true, problems: [] });
      expect(written.rounds).toBeGreaterThan(seconds);
      for (const { reads } of reports) expect(reads).toBeGreaterThan(0);
      expect(reports.reduce((sum, report) => sum + report.seen, 0)).toBeGreaterThanOrEqual(readers);
    },
    seconds * 1000 + 60_000,
  );

  it("are fenced when their lock is lost", async () => {
    const place = scratch();
    const first = await start("asked-writer.mjs", place).started();
    first.child.stdin.write("a\n");
    await first.printed("next");
    rmSync(path.join(place, "LOCK"));
    // Nothing keeps a second writer out now.
    const lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "b", vector: [1, 2] }]);
    first.child.stdin.write("c\nd\n");
    const { outcome, readable } = await first.finish<{ outcome: object; readable: number }>();
    expect(outcome).toEqual({ a: "ok", c: "WRITER_FENCED", d: "WRITER_FENCED" });
    expect(readable).toBe(1);
    await docs.upsert([{ id: "e", vector: [1, 2] }]);
    await lake.close();
    await using again = await RuLake.open(place);
    const found = await again.collection("docs");
    expect((await found.get(["a", "b", "c", "d", "e"])).map(({ id }) => id)).toEqual(["a", "b", "e"]);
    expect(await found.verify()).toMatchObject({ ok: true, records: 3 });
  });

  it("leave the lake to the next writer when the first is killed, not before", async () => {
    const [place, progress] = [scratch(), `${scratch()}.progress`];
    const first = await start("writer.mjs", place, progress).started();
    const error = await failure(RuLake.open(place));
    expect(error).toMatchObject({ code: "LAKE_LOCKED", category: "transient" });
    expect(error.context.holder).toContain(`process ${first.child.pid} `);
    await expect(start("writer.mjs", place, progress).finish()).rejects.toThrow("LAKE_LOCKED");
    await first.kill();
    // Nothing has to be waited for or deleted: its lock went with the process.
    const begun = performance.now();
    await using lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "next", vector: new Float32Array(8) }]);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(await docs.verify()).toMatchObject({ ok: true });
  });
});
