#!/usr/bin/env node
// Run after changing dependencies. Tools with a native part name one optional package per platform; npm leaves out of
// package-lock.json those it cannot see (a mirror without them, npm/cli#4828), and then refuses `npm ci` because they
// are missing. This adds them by name and version, in the lock file that is named (default: that of the package).
import { readFileSync, writeFileSync } from "node:fs";
import { inRoot } from "./paths.mjs";

/**
 * @typedef {object} Entry
 * @property {string} [version]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 * @property {Record<string, string>} [optionalDependencies]
 */

const file = inRoot(process.argv[2] ?? "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
/** @type {Record<string, Entry>} */
const packages = lock.packages;

/** Whether Node.js, starting at `where`, would find `name` in this lock file. */
function resolves(/** @type {string} */ where, /** @type {string} */ name) {
  const parts = where === "" ? [] : where.split(/(?:^|\/)node_modules\//);
  return parts
    .map((_, depth) => `${parts.slice(0, parts.length - depth).join("/node_modules/")}/node_modules/${name}`)
    .concat(`node_modules/${name}`)
    .some((candidate) => packages[candidate.replace(/^\//, "")]);
}

/** What the name of a platform package says, as napi-rs and its users write it. @returns {Entry | undefined} */
function platformOf(/** @type {string} */ name) {
  if (name.endsWith("-wasm32-wasi")) return { cpu: ["wasm32"] };
  const pattern = /-(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/;
  const [, os, cpu, abi] = pattern.exec(name) ?? [];
  if (os === undefined || cpu === undefined) return undefined;
  const libc = os === "linux" && abi ? { libc: [abi.startsWith("musl") ? "musl" : "glibc"] } : {};
  return { os: [os], cpu: [cpu], ...libc };
}

let added = 0;
for (const [where, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const platform = platformOf(name);
    if (platform === undefined || resolves(where, name)) continue;
    const rest = Object.entries({ ...platform, ...(dev ? { dev } : {}), optional: true }).sort();
    packages[`node_modules/${name}`] = { version, ...Object.fromEntries(rest) };
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en")));
if (added > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${file}: ${added} packages of other platforms added`);
