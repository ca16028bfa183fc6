import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { engineDigest } from "../machine.mjs";
import { medianSpent } from "../measure/statistics.mjs";
import { requestFor } from "./request-for.mjs";
import { runStep } from "./runtimes.mjs";
import { versionOf } from "./version.mjs";

/** @typedef {import("../datasets/dataset.mjs").Dataset} Dataset */
/** @typedef {import("../lineup.mjs").Entry} Entry */
/** @typedef {import("../measure/request.mjs").BuildResult} BuildResult */
/** @typedef {BuildResult & { runs: number; date: string }} Built figures of a build; times are medians */

const cache = fileURLToPath(new URL("../.cache/indexes/", import.meta.url));

/** Builds that take longer in all are not repeated. */
const REPEAT_BUILDS_SECONDS = 20;

/**
 * Builds the index of an entry, up to three times where that is quick.
 *
 * @param {Entry} entry
 * @param {Dataset} dataset
 * @param {{ command: string[]; quick: boolean; filters?: import("../measure/request.mjs").FilterFiles[] }} options
 * @returns {{ file: string; built: Built }}
 */
export function buildIndex(entry, dataset, { command, quick, filters }) {
  const file = placeOf(entry, dataset, filters !== undefined);
  rmSync(`${file}.json`, { force: true });
  const date = new Date().toISOString();
  /** @type {BuildResult[]} */
  const builds = [];
  let spent = 0;
  do {
    rmSync(file, { recursive: true, force: true });
    const request = requestFor(entry, dataset, { quick, step: "build", index: file });
    const built = /** @type {BuildResult} */ (
      runStep(command, { ...request, ...(filters ? { filters } : {}) })
    );
    builds.push(built);
    spent += built.build.wall;
  } while (!quick && builds.length < 3 && spent < REPEAT_BUILDS_SECONDS);
  const last = /** @type {BuildResult} */ (builds.at(-1));
  const built = {
    ...last,
    runs: builds.length,
    date,
    build: medianSpent(builds.map(({ build }) => build)),
    ...(last.loopDelayMs === undefined
      ? {}
      : { loopDelayMs: Math.max(...builds.map(({ loopDelayMs }) => loopDelayMs ?? Number.NaN)) }),
  };
  writeFileSync(`${file}.json`, JSON.stringify({ fingerprint: fingerprint(entry, dataset, filters), built }));
  return { file, built };
}

/**
 * The index of an entry as it was built last, if data, settings and version are still the same; else builds it.
 *
 * @param {Entry} entry
 * @param {Dataset} dataset
 * @param {Parameters<typeof buildIndex>[2]} options
 */
export function builtIndex(entry, dataset, options) {
  const file = placeOf(entry, dataset, options.filters !== undefined);
  if (existsSync(`${file}.json`) && existsSync(file)) {
    const known = JSON.parse(readFileSync(`${file}.json`, "utf8"));
    if (known.fingerprint === fingerprint(entry, dataset, options.filters)) {
      return { file, built: /** @type {Built} */ (known.built) };
    }
  }
  return buildIndex(entry, dataset, options);
}

/**
 * @param {Entry} entry
 * @param {Dataset} dataset
 * @param {boolean} filtered
 */
function placeOf({ id }, { folder }, filtered) {
  const place = path.join(cache, path.basename(folder));
  mkdirSync(place, { recursive: true });
  return path.join(place, `${id}${filtered ? "-filtered" : ""}.index`);
}

/**
 * @param {Entry} entry
 * @param {Dataset} dataset
 * @param {import("../measure/request.mjs").FilterFiles[] | undefined} filters
 */
function fingerprint(entry, { sha256 }, filters) {
  const { peer, settings } = entry;
  const version = versionOf(entry) ?? (peer === "rulake" ? engineDigest() : "");
  const all = JSON.stringify([peer, settings, version, sha256, filters?.map(({ id }) => id)]);
  return createHash("sha256").update(all).digest("hex");
}
