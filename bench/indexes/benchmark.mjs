import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { openDataset } from "../datasets/dataset.mjs";
import { buildUpstream, copyPackage } from "../install.mjs";
import { describeConditions } from "../machine.mjs";
import { lineup } from "./lineup.mjs";
import { recallPlot } from "./recall-plot.mjs";
import { toMarkdown } from "./report.mjs";
import { medianSpent, toPoint } from "./statistics.mjs";

/** @typedef {import("../datasets/dataset.mjs").Dataset} Dataset */
/** @typedef {import("./lineup.mjs").Entry} Entry */
/** @typedef {import("./request.mjs").BuildResult} BuildResult */
/** @typedef {import("./request.mjs").SearchResult} SearchResult */

/**
 * @typedef {object} Measured figures of one entry; times in seconds unless the name says otherwise
 * @property {string} id
 * @property {string} title
 * @property {string} [version]
 * @property {import("./request.mjs").Settings} settings
 * @property {number} queries
 * @property {string} date when it began
 * @property {number} loadAverage of the machine then
 * @property {BuildResult & { runs: number }} build
 * @property {Omit<SearchResult, "points">} open
 * @property {import("./statistics.mjs").Point[]} points
 */

/**
 * @typedef {object} Results `conditions` are those of the last run; with `--only`, other entries are older
 * @property {string} name of the files
 * @property {Omit<Dataset, "folder">} dataset
 * @property {number} k
 * @property {boolean} quick
 * @property {ReturnType<typeof describeConditions>} conditions
 * @property {Measured[]} entries
 */

const K = 10;
const cache = fileURLToPath(new URL("../.cache/run/", import.meta.url));
const step = fileURLToPath(new URL("step.mjs", import.meta.url));

/** Builds that take longer in all are not repeated. */
const REPEAT_BUILDS_SECONDS = 20;

/** @param {import("../run.mjs").Options} options */
export async function compareIndexes({ datasets, n, quick, only }) {
  const unknown = only.filter((id) => !lineup.some((entry) => entry.id === id));
  if (unknown.length > 0) {
    throw new Error(
      `Not in the lineup: ${unknown.join(", ")}. It has ${lineup.map(({ id }) => id).join(", ")}.`,
    );
  }
  const chosen = lineup.filter(({ id }) => only.length === 0 || only.includes(id));
  const upstream = chosen.some(({ peer }) => peer === "upstream") ? buildUpstream() : undefined;
  copyPackage();
  for (const name of datasets) {
    const dataset = await openDataset(name, { n: n ?? (quick ? 20_000 : undefined) });
    await compareOn(dataset, chosen, { quick, upstream });
  }
}

/**
 * @param {Dataset} dataset
 * @param {Entry[]} entries
 * @param {{ quick: boolean; upstream: string | undefined }} options
 */
async function compareOn(dataset, entries, { quick, upstream }) {
  const { folder, ...about } = dataset;
  const name = `indexes-${path.basename(folder)}`;
  // A quick run is no result.
  const results = quick
    ? path.join(cache, "..", "quick")
    : fileURLToPath(new URL("../results/", import.meta.url));
  mkdirSync(results, { recursive: true });
  const file = path.join(results, name);
  const earlier = existsSync(`${file}.json`) ? JSON.parse(readFileSync(`${file}.json`, "utf8")).entries : [];
  /** @type {Map<string, Measured>} */
  const measured = new Map(earlier.map((/** @type {Measured} */ entry) => [entry.id, entry]));
  const conditions = describeConditions();
  console.log(`\n${name}: ${about.n.toLocaleString("en")} x ${about.dimensions}, ${about.source}`);
  for (const entry of entries) {
    if (entry.peer === "upstream" && upstream === undefined) {
      console.log(`${entry.title}: left out, there is no Rust toolchain`);
      continue;
    }
    try {
      const figures = measure(entry, dataset, { quick, upstream });
      measured.set(entry.id, figures);
      print(figures);
    } catch (error) {
      console.error(`${entry.title}: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
    // After each, so that a run that is stopped leaves what it measured.
    const all = lineup.flatMap(({ id }) => measured.get(id) ?? []);
    const whole = { name, dataset: about, k: K, quick, conditions, entries: all };
    writeFileSync(`${file}.json`, `${JSON.stringify(whole, null, 1)}\n`);
    writeFileSync(`${file}.md`, toMarkdown(whole));
    writeFileSync(`${file}.svg`, recallPlot(whole));
  }
}

/**
 * @param {Entry} entry
 * @param {Dataset} dataset
 * @param {{ quick: boolean; upstream: string | undefined }} options
 * @returns {Measured}
 */
function measure(entry, dataset, { quick, upstream }) {
  const { dimensions, folder, truthDepth } = dataset;
  mkdirSync(cache, { recursive: true });
  const points = quick ? entry.points.filter((_, at) => at % 3 === 0) : entry.points;
  const queryCount = Math.min(
    dataset.queries,
    entry.queries ?? dataset.queries,
    quick ? 200 : Number.POSITIVE_INFINITY,
  );
  const index = path.join(cache, `${entry.id}.index`);
  const request = {
    peer: entry.peer,
    settings: entry.settings,
    points,
    dimensions,
    k: K,
    truthDepth,
    index,
    base: path.join(folder, "base.f32"),
    queries: path.join(folder, "queries.f32"),
    truth: path.join(folder, "truth.i32"),
    rounds: quick ? 2 : 5,
    seconds: quick ? 2 : 20,
    queryCount,
  };
  const begun = { date: new Date().toISOString(), loadAverage: loadavg()[0] ?? 0 };
  try {
    /** @type {BuildResult[]} */
    const builds = [];
    let spent = 0;
    do {
      const built = /** @type {BuildResult} */ (inProcess({ ...request, step: "build" }, upstream));
      builds.push(built);
      spent += built.build.wall;
    } while (!quick && builds.length < 3 && spent < REPEAT_BUILDS_SECONDS);
    const searched = /** @type {SearchResult} */ (inProcess({ ...request, step: "search" }, upstream));
    return toMeasured(entry, queryCount, begun, points, builds, searched);
  } finally {
    rmSync(index, { force: true });
  }
}

/**
 * @param {Entry} entry
 * @param {number} queries
 * @param {{ date: string; loadAverage: number }} begun
 * @param {import("./request.mjs").Settings[]} settings
 * @param {BuildResult[]} builds
 * @param {SearchResult} searched
 * @returns {Measured}
 */
function toMeasured(entry, queries, begun, settings, builds, { points, ...open }) {
  const version = entry.from && versionOf(entry.from);
  const last = /** @type {BuildResult} */ (builds.at(-1));
  const delays = builds.map(({ loopDelayMs }) => loopDelayMs ?? Number.NaN);
  return {
    id: entry.id,
    title: entry.title,
    ...(version ? { version } : {}),
    settings: entry.settings,
    queries,
    ...begun,
    build: {
      ...last,
      runs: builds.length,
      build: medianSpent(builds.map(({ build }) => build)),
      ...(last.loopDelayMs === undefined ? {} : { loopDelayMs: Math.max(...delays) }),
    },
    open,
    points: points.map((point, at) => toPoint(settings[at] ?? {}, point, queries)),
  };
}

/**
 * Runs one step in a process of its own and waits for its end.
 *
 * @param {import("./request.mjs").Request | Omit<import("./request.mjs").Request, "result">} request
 * @param {string | undefined} upstream
 */
function inProcess(request, upstream) {
  const file = path.join(cache, "request.json");
  const result = path.join(cache, "result.json");
  rmSync(result, { force: true });
  writeFileSync(file, JSON.stringify({ ...request, result }));
  const [command, args] =
    request.peer === "upstream" && upstream ? [upstream, []] : [process.execPath, ["--expose-gc", step]];
  const { status, signal } = spawnSync(command, [...args, file], { stdio: "inherit" });
  if (status !== 0) throw new Error(`the ${request.step} process ended with ${status ?? signal}`);
  return JSON.parse(readFileSync(result, "utf8"));
}

/** @param {string} name of an npm package or of the crate */
function versionOf(name) {
  const cargo = readFileSync(new URL("../peers/upstream/Cargo.toml", import.meta.url), "utf8");
  const [, crate] = new RegExp(`^${name} = "=(.+)"$`, "m").exec(cargo) ?? [];
  if (crate !== undefined) return crate;
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return /** @type {string} */ (JSON.parse(readFileSync(file, "utf8")).version);
}

/** @param {Measured} figures */
function print({ title, build, open, points }) {
  const { wall, cpu } = build.build;
  console.log(
    `${title}: build ${cpu.toFixed(2)} CPU s (${wall.toFixed(2)} s), ${(build.diskBytes / 1e6).toFixed(1)} MB, ` +
      `load ${(open.load.wall * 1000).toFixed(1)} ms`,
  );
  for (const { settings, recall, cpuQps, p50Ms } of points) {
    const how = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
    console.log(
      `  ${(how.join(", ") || "default").padEnd(24)} recall ${recall.toFixed(4)}  ${cpuQps.toFixed(0).padStart(6)} QPS by CPU, p50 ${p50Ms.toFixed(3)} ms`,
    );
  }
}
