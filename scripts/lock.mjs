import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheDir } from "./paths.mjs";

/** True when no process of that id runs on this machine. */
function isGone(/** @type {number} */ pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "ESRCH";
  }
}

/** Removes a lock whose holder died. A holder that has not written its id yet gets ten seconds. */
function clearIfAbandoned(/** @type {string} */ file) {
  try {
    const holder = Number.parseInt(readFileSync(file, "utf8"), 10);
    const abandoned = Number.isNaN(holder) ? Date.now() - statSync(file).mtimeMs > 10_000 : isGone(holder);
    if (!abandoned) return;
    const grave = `${file}.${process.pid}`;
    renameSync(file, grave);
    rmSync(grave, { force: true });
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
  }
}

/**
 * Runs `work` while no other process holds the lock `name` of this checkout.
 *
 * The lock only saves duplicate work: builds write to a folder of their own and are renamed into place, so two
 * holders (possible if two waiters clear a dead lock in the same instant) would still leave a whole result.
 *
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} work
 * @param {() => void} [onWait] called once if somebody else holds the lock
 * @returns {Promise<T>}
 */
export async function withLock(name, work, onWait) {
  const file = path.join(cacheDir, `${name}.lock`);
  mkdirSync(cacheDir, { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      break;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    }
    clearIfAbandoned(file);
    if (!waited) onWait?.();
    await sleep(200);
  }
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.removeListener("exit", release);
    release();
  }
}
