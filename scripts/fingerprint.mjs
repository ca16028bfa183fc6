import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { cacheDir, inRoot } from "./paths.mjs";

/**
 * Content hashes rather than times: a checkout, a rebase or a copied tree changes times without changing bytes,
 * and the other way round.
 *
 * @typedef {{ inputs: string; outputs: Record<string, string> }} Stamp
 */

/** Every file under `entry`, sorted, as paths relative to the root. @returns {string[]} */
function walk(/** @type {string} */ entry) {
  const found = readdirSync(inRoot(entry), { withFileTypes: true });
  return found
    .flatMap((item) => {
      const relative = path.posix.join(entry, item.name);
      return item.isDirectory() ? walk(relative) : [relative];
    })
    .sort();
}

/** Expands files and folders to files; what does not exist is left out. */
function filesOf(/** @type {string[]} */ entries) {
  return entries.flatMap((entry) => {
    if (!existsSync(inRoot(entry))) return [];
    try {
      return walk(entry);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOTDIR") return [entry];
      throw error;
    }
  });
}

/** SHA-256 of one file, or `undefined` when it is absent. */
export function hashFile(/** @type {string} */ file) {
  try {
    return createHash("sha256")
      .update(readFileSync(inRoot(file)))
      .digest("hex");
  } catch {
    return undefined;
  }
}

/** One hash over names and contents of files, and over `extra` facts the result depends on. */
export function hashInputs(/** @type {string[]} */ entries, /** @type {string[]} */ ...extra) {
  const hash = createHash("sha256");
  for (const file of filesOf(entries)) hash.update(`${file}\0${hashFile(file)}\0`);
  for (const fact of extra) hash.update(`\0${fact}`);
  return hash.digest("hex");
}

const stampPath = (/** @type {string} */ name) => path.join(cacheDir, `${name}.stamp.json`);

/** True when the inputs are those of the last successful build and its outputs are still in place, byte for byte. */
export function isFresh(/** @type {string} */ name, /** @type {string} */ inputs) {
  /** @type {Stamp} */
  let stamp;
  try {
    stamp = JSON.parse(readFileSync(stampPath(name), "utf8"));
  } catch {
    return false;
  }
  return (
    stamp.inputs === inputs && Object.entries(stamp.outputs).every(([file, hash]) => hashFile(file) === hash)
  );
}

/** Records a successful build. Written whole or not at all. */
export function recordBuild(
  /** @type {string} */ name,
  /** @type {string} */ inputs,
  /** @type {string[]} */ outputs,
) {
  const hashes = filesOf(outputs).map((file) => [file, hashFile(file)]);
  mkdirSync(cacheDir, { recursive: true });
  const draft = `${stampPath(name)}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ inputs, outputs: Object.fromEntries(hashes) }));
  renameSync(draft, stampPath(name));
}
