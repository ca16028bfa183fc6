import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describeConditions } from "../machine.mjs";
import { toMarkdown } from "./report.mjs";

/** @typedef {import("./request.mjs").Request} Request */

/**
 * @typedef {object} Measured
 * @property {string} id
 * @property {string} title
 * @property {string | undefined} version
 * @property {string} date when it began
 * @property {number | undefined} loadAverage of the machine then
 * @property {number | undefined} syncsPerUpsert calls of fsync and its like for each acknowledged single upsert
 * @property {import("./request.mjs").WriteResult} write
 * @property {import("./request.mjs").ReadResult} read
 */

/**
 * @typedef {object} Results `conditions` are those of the last run; with `--only`, other entries are older
 * @property {{ name: string; rows: number; dimensions: number }} dataset
 * @property {ReturnType<typeof describeConditions>} conditions
 * @property {Measured[]} entries
 */

/** @typedef {{ id: string; title: string; module?: string }} Entry */

/** @type {Entry[]} */
const lineup = [
  { id: "rulake", title: "rulake `Collection`" },
  { id: "rulake-ids", title: "the same, ids only" },
  { id: "bare-index", title: "its index alone" },
  { id: "lancedb", title: "LanceDB", module: "@lancedb/lancedb" },
  { id: "zvec", title: "zvec", module: "@zvec/zvec" },
  { id: "sqlite", title: "better-sqlite3 with sqlite-vec", module: "better-sqlite3" },
];

const here = fileURLToPath(new URL(".", import.meta.url));
const work = fileURLToPath(new URL("../.cache/lake/", import.meta.url));

export const about =
  "lakes beside LanceDB, zvec and SQLite: writing, opening, searching, filters, deleting, disk";

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {{ quick: boolean; only: string[] }} options
 */
export async function run(dataset, { quick, only }) {
  installStores();
  mkdirSync(work, { recursive: true });
  const name = `lake-${path.basename(dataset.folder)}`;
  const folder = quick ? path.join(work, "..", "quick") : path.join(here, "..", "results");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  const before = readResults(`${file}.json`);
  /** @type {Measured[]} */
  const entries = [];
  for (const entry of lineup) {
    if (only.length === 0 || only.includes(entry.id)) {
      const measured = measure(entry, dataset, quick);
      if (measured !== undefined) entries.push(measured);
    } else {
      entries.push(...(before?.entries ?? []).filter(({ id }) => id === entry.id));
    }
  }
  /** @type {Results} */
  const results = {
    dataset: { name: dataset.name, rows: dataset.n, dimensions: dataset.dimensions },
    conditions: describeConditions(),
    entries,
  };
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`);
  const table = toMarkdown(results);
  writeFileSync(`${file}.md`, table);
  console.log(table);
}

/** @param {string} file @returns {Results | undefined} */
function readResults(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

/** They have a package of their own, because nothing else here needs them. */
function installStores() {
  const installed = path.join(here, "node_modules", ".installed-lock.json");
  const lock = readFileSync(path.join(here, "package-lock.json"), "utf8");
  if (existsSync(installed) && readFileSync(installed, "utf8") === lock) return;
  console.log("Installing LanceDB, zvec and SQLite (about 300 MB) into bench/lake/node_modules");
  const args = ["ci", "--prefix", here, "--no-fund", "--no-audit"];
  const { status } = spawnSync("npm", args, { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) throw new Error(`npm ${args[0]} failed with ${status}`);
  writeFileSync(installed, lock);
}

/** @param {Entry} entry @returns {string | undefined} the version that is installed; of our own package none */
function versionOf({ module }) {
  if (module === undefined) return undefined;
  const file = path.join(here, "node_modules", module, "package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
}

/**
 * @param {Entry} entry
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {boolean} quick
 * @returns {Measured | undefined}
 */
function measure(entry, dataset, quick) {
  const version = versionOf(entry);
  if (entry.module !== undefined && version === undefined) {
    console.log(`${entry.title}: not installed`);
    return undefined;
  }
  const about = { date: new Date().toISOString(), loadAverage: loadavg()[0] };
  const place = path.join(work, entry.id);
  for (const ending of ["", ".rbq", "-wal", "-shm"]) rmSync(place + ending, { recursive: true, force: true });
  /** @type {Omit<Request, "step">} */
  const request = {
    store: entry.id,
    dataset: dataset.folder,
    // A cut is the first rows of the whole, and has no texts of its own.
    texts: path.join(dataset.folder, "..", dataset.name, "base.txt"),
    dimensions: dataset.dimensions,
    rows: dataset.n,
    singles: quick ? 100 : 500,
    queries: quick ? 100 : 1000,
    place,
    result: `${place}.json`,
  };
  console.log(`${entry.title}: writing`);
  const write = /** @type {import("./request.mjs").WriteResult} */ (step({ ...request, step: "write" }));
  console.log(`${entry.title}: reading`);
  const read = /** @type {import("./request.mjs").ReadResult} */ (step({ ...request, step: "read" }));
  const syncsPerUpsert = countSyncs(request);
  const { id, title } = entry;
  for (const ending of ["", ".rbq", "-wal", "-shm", ".json"]) {
    rmSync(place + ending, { recursive: true, force: true });
  }
  return { id, title, version, ...about, syncsPerUpsert, write, read };
}

/** @param {Request} request @param {string[]} [before] a program to run it under */
function step(request, before = []) {
  const file = path.join(work, "request.json");
  writeFileSync(file, JSON.stringify(request));
  const [program = "", ...args] = [
    ...before,
    process.execPath,
    "--expose-gc",
    path.join(here, "step.mjs"),
    file,
  ];
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${request.store}: the step '${request.step}' failed with ${status}`);
  return JSON.parse(readFileSync(request.result, "utf8"));
}

/**
 * How often a store asks the system for durability before it acknowledges a single upsert, seen from outside.
 *
 * @param {Omit<Request, "step">} request
 */
function countSyncs(request) {
  if (spawnSync("strace", ["--version"]).status !== 0) return undefined;
  const upserts = 50;
  const place = `${request.place}-syncs`;
  const trace = `${place}.trace`;
  const calls = "trace=fsync,fdatasync,sync_file_range,msync,syncfs,statx,stat,newfstatat";
  step({ ...request, step: "syncs", place, rows: 1000, singles: upserts }, [
    "strace",
    "-f",
    "-o",
    trace,
    "-e",
    calls,
  ]);
  const [, during = ""] = readFileSync(trace, "utf8").split("/bench-syncs-begin");
  const [counted = ""] = during.split("/bench-syncs-end");
  for (const ending of ["", ".rbq", "-wal", "-shm", ".trace"])
    rmSync(place + ending, { recursive: true, force: true });
  return (counted.match(/\b(fsync|fdatasync|sync_file_range|msync|syncfs)\(/g) ?? []).length / upserts;
}
