import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { withLock } from "../../scripts/lock.mjs";
import { cacheDir } from "../../scripts/paths.mjs";

const name = `test-${process.pid}`;
const file = path.join(cacheDir, `${name}.lock`);

afterEach(() => rmSync(file, { force: true }));

describe("the build lock", () => {
  it("lets one in at a time", async () => {
    let inside = 0;
    let most = 0;
    const enter = () =>
      withLock(name, async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inside--;
      });
    await Promise.all([enter(), enter(), enter()]);
    expect(most).toBe(1);
  });

  it("is free again after a failure", async () => {
    await expect(withLock(name, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(existsSync(file)).toBe(false);
  });

  it("is taken over from a process that died", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    mkdirSync(cacheDir, { recursive: true });
    writeFileSync(file, `${pid}\n`);
    await expect(withLock(name, () => "entered")).resolves.toBe("entered");
  });
});
