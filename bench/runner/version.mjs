import { readFileSync } from "node:fs";

/**
 * The version of a peer, or `undefined` for our own.
 *
 * @param {import("../lineup.mjs").Entry} entry
 */
export function versionOf({ from, runtime }) {
  if (from === undefined) return undefined;
  if (runtime === "python")
    return pinned("../peers/python/requirements.txt", new RegExp(`^${from}==(.+)$`, "m"));
  if (runtime === "rust") return pinned("../peers/rust/Cargo.toml", new RegExp(`^${from} = "=(.+)"$`, "m"));
  const file = new URL(`../node_modules/${from}/package.json`, import.meta.url);
  return /** @type {string} */ (JSON.parse(readFileSync(file, "utf8")).version);
}

/**
 * @param {string} file
 * @param {RegExp} pattern
 */
function pinned(file, pattern) {
  return pattern.exec(readFileSync(new URL(file, import.meta.url), "utf8"))?.[1];
}
