import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { distinctRows, takeRows } from "./distinct.mjs";
import { readFloats, writeNumbers } from "./matrix.mjs";
import { permutation } from "./shuffle.mjs";
import { exactTruth, TRUTH_DEPTH } from "./truth.mjs";

/**
 * A data set on disk. `base.f32` and `queries.f32` are row-major; `truth.i32` holds `truthDepth` row numbers of the
 * base for each query, nearest first; the texts or words are in `base.txt` and `queries.txt`, one a line.
 *
 * @typedef {object} Dataset
 * @property {string} name
 * @property {string} folder
 * @property {string} source
 * @property {"cosine"} metric
 * @property {number} dimensions
 * @property {number} n rows of the base
 * @property {number} queries
 * @property {number} truthDepth
 * @property {number} seed of the shuffle that chose the queries
 * @property {Record<string, string>} sha256 of each file
 */

/** @typedef {{ source: string; makeVectors(folder: string): Promise<{ dimensions: number; matrix: Float32Array; labels: string[] }> }} Maker */

/** @type {Record<string, () => Promise<Maker>>} */
const makers = {
  glove: () => import("./glove.mjs"),
  gloss: () => import("./gloss.mjs"),
};

/** Names `openDataset` knows. */
export const datasetNames = Object.keys(makers);

const cache = fileURLToPath(new URL("../.cache/", import.meta.url));
const QUERIES = 1000;
const SEED = 20_26;

/**
 * The data set of that name, made first if need be; with `n`, its first `n` base rows (a random sample, since the
 * rows are shuffled) and their own truth.
 *
 * @param {string} name
 * @param {{ n?: number | undefined }} [options]
 * @returns {Promise<Dataset>}
 */
export async function openDataset(name, { n } = {}) {
  const whole = readMeta(path.join(cache, name)) ?? (await makeWhole(name));
  if (n === undefined || n >= whole.n) return whole;
  const folder = path.join(cache, `${name}-${n}`);
  return readMeta(folder) ?? makeCut(whole, n, folder);
}

/** @param {string} folder */
function readMeta(folder) {
  const file = path.join(folder, "meta.json");
  if (!existsSync(file)) return undefined;
  return /** @type {Dataset} */ ({ ...JSON.parse(readFileSync(file, "utf8")), folder });
}

/** @param {string} name */
async function makeWhole(name) {
  const load = makers[name];
  if (load === undefined) throw new Error(`No data set '${name}'; there are ${datasetNames.join(" and ")}.`);
  const folder = path.join(cache, name);
  mkdirSync(folder, { recursive: true });
  const maker = await load();
  console.log(`Making the data set '${name}' (${maker.source})`);
  const { dimensions, matrix, labels } = await maker.makeVectors(folder);
  const distinct = distinctRows(matrix, dimensions);
  const rows = Array.from(permutation(distinct.length, SEED), (at) => /** @type {number} */ (distinct[at]));
  const queryRows = rows.slice(0, QUERIES);
  const baseRows = rows.slice(QUERIES);
  /** @type {(rows: number[]) => string} */
  const lines = (chosen) => `${chosen.map((row) => labels[row]).join("\n")}\n`;
  writeFileSync(path.join(folder, "queries.txt"), lines(queryRows));
  writeFileSync(path.join(folder, "base.txt"), lines(baseRows));
  const queries = takeRows(matrix, dimensions, queryRows);
  const base = takeRows(matrix, dimensions, baseRows);
  const made = await writeDataset({ name, source: maker.source, dimensions }, base, queries, folder);
  for (const part of ["vectors.part", "vectors.part.sha256"])
    rmSync(path.join(folder, part), { force: true });
  return made;
}

/**
 * @param {Dataset} whole
 * @param {number} n
 * @param {string} folder
 */
async function makeCut({ name, source, dimensions, folder: from }, n, folder) {
  mkdirSync(folder, { recursive: true });
  const base = readFloats(path.join(from, "base.f32"), { first: n * dimensions });
  const queries = readFloats(path.join(from, "queries.f32"));
  return writeDataset({ name, source, dimensions }, base, queries, folder);
}

/**
 * @param {{ name: string; source: string; dimensions: number }} about
 * @param {Float32Array} base
 * @param {Float32Array} queries
 * @param {string} folder
 */
async function writeDataset(about, base, queries, folder) {
  const { dimensions } = about;
  const files = { "base.f32": base, "queries.f32": queries };
  for (const [file, numbers] of Object.entries(files)) writeNumbers(path.join(folder, file), numbers);
  const shared = readFloats(path.join(folder, "base.f32"), { shared: true });
  const truth = await exactTruth(shared, queries, dimensions);
  writeNumbers(path.join(folder, "truth.i32"), truth);
  /** @type {Record<string, string>} */
  const sha256 = {};
  for (const [file, numbers] of Object.entries({ ...files, "truth.i32": truth })) {
    sha256[file] = createHash("sha256").update(numbers).digest("hex");
  }
  const meta = {
    ...about,
    metric: /** @type {const} */ ("cosine"),
    n: base.length / dimensions,
    queries: queries.length / dimensions,
    truthDepth: TRUTH_DEPTH,
    seed: SEED,
    sha256,
  };
  // Last, and at once: the other files are whole when this one is there.
  const file = path.join(folder, "meta.json");
  writeFileSync(`${file}.part`, `${JSON.stringify(meta, null, 2)}\n`);
  renameSync(`${file}.part`, file);
  return { ...meta, folder };
}
