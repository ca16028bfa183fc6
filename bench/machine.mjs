import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { packageCopy } from "./install.mjs";

/** What a reader must know about the machine and the code to compare figures. */
export function describeConditions() {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    loadAverage: loadavg()[0],
    engine: engineDigest(),
    commit: git("rev-parse", "--short", "HEAD"),
    modified: (git("status", "--porcelain", "--", "native", "src") ?? "") !== "",
  };
}

/** Tells builds of the native engine apart: the first digits of the SHA-256 of its file. */
export function engineDigest() {
  const folder = new URL("native/", packageCopy);
  const file = readdirSync(folder).find((name) => name.endsWith(".node"));
  if (file === undefined) return undefined;
  return createHash("sha256")
    .update(readFileSync(new URL(file, folder)))
    .digest("hex")
    .slice(0, 12);
}

/** @param {string[]} args */
function git(...args) {
  try {
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    return execFileSync("git", args, { cwd, encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}
