import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const run = promisify(execFile);
const times = process.env.RULAKE_HEAVY === "1" ? 10_000 : 500;
const opener = fileURLToPath(new URL("processes/opener.mjs", import.meta.url));

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
