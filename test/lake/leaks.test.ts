import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { RuLake } from "rulake";
import { describe, expect, it } from "vitest";
import { noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const run = promisify(execFile);
const times = process.env.RULAKE_HEAVY === "1" ? 10_000 : 500;
const program = (name: string) => fileURLToPath(new URL(`processes/${name}`, import.meta.url));
const opener = program("opener.mjs");
const bundleOpener = program("bundle-opener.mjs");

interface Holdings {
  descriptors: number;
  threads: number;
  resident: number;
}

// Only Linux tells what a process holds in files.
describe.runIf(existsSync("/proc/self/fd"))("a process that opens and closes", () => {
  it(
    `holds no more after ${times} times than after ${times / 5}`,
    async () => {
      const args = ["--expose-gc", opener, scratch(), scratch(), String(times)];
      const { stdout } = await run(process.execPath, args);
      const { early, late } = JSON.parse(stdout) as { early: Holdings; late: Holdings };
      // One or two may be on their way out.
      expect(late.descriptors).toBeLessThan(early.descriptors + 5);
      expect(late.threads).toBeLessThan(early.threads + 5);
      // Allocators keep some of what was freed, whatever the number of times.
      expect((late.resident - early.resident) / 2 ** 20).toBeLessThan(24);
    },
    120_000 + times * 100,
  );
});

describe("a bundle that is closed", () => {
  it("gives its memory back", async () => {
    const dir = scratch();
    await using lake = await RuLake.open({ memory: true });
    const docs = await lake.collection("docs");
    await docs.upsert(Array.from({ length: 20_000 }, (_, i) => ({ id: `${i}`, vector: noise(64, i + 1) })));
    const { files = [] } = await docs.publishBundle(dir, { rbpx: false });
    const [early = 0, late = 0] = JSON.parse((await run(process.execPath, [bundleOpener, dir, "25"])).stdout);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    // 20 of them.
    expect((late - early) / bytes).toBeLessThan(6);
  });
});
