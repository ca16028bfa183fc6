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

/**
 * @typedef {object} Maker
 * @property {string} source
 * @property {boolean} [shuffled] whether the rows come in random order, so that the first of them are a sample of all
 * @property {(folder: string, first?: number) => Promise<{ dimensions: number; matrix: Float32Array; labels: string[] }>} makeVectors
 * @property {(labels: string[]) => string[]} [topicsOf] what each row is about
 */

/** @type {Record<string, { load(): Promise<Maker>; usual?: number }>} `usual`: base rows where none are asked for */
const makers = {
  glove: { load: () => import("./glove.mjs") },
  gloss: { load: () => import("./gloss.mjs") },
  docs: { load: () => import("./docs.mjs"), usual: 100_000 },
};

/** Names `openDataset` knows. */
export const datasetNames = Object.keys(makers);

const cache = fileURLToPath(new URL("../.cache/", import.meta.url));
const QUERIES = 1000;
const SEED = 20_26;

/** More rows than are wanted, because equal and zero vectors are dropped. */
const SLACK = 1.02;

/**
 * The data set of that name, made first if need be; with `n`, its first `n` base rows (a random sample, since the
 * rows are shuffled) and their own truth.
 *
 * @param {string} name
 * @param {{ n?: number | undefined }} [options] `Infinity`: all rows
 * @returns {Promise<Dataset>}
 */
export async function openDataset(name, { n } = {}) {
  const { load, usual } = makers[name] ?? {};
  if (load === undefined) throw new Error(`No data set '${name}'; there are ${datasetNames.join(", ")}.`);
  const wanted = n ?? usual ?? Number.POSITIVE_INFINITY;
  const folder = path.join(cache, Number.isFinite(wanted) ? `${name}-${wanted}` : name);
  const ready = readMeta(folder);
  if (ready !== undefined) return ready;
  const whole = readMeta(path.join(cache, name));
  if (whole !== undefined) return wanted < whole.n ? makeCut(whole, wanted, folder) : whole;
  const maker = await load();
  if (maker.shuffled && Number.isFinite(wanted)) return make(name, maker, folder, wanted);
  const made = await make(name, maker, path.join(cache, name), Number.POSITIVE_INFINITY);
  return wanted < made.n ? makeCut(made, wanted, folder) : made;
}

/**
 * What each base row is about, or `undefined` when the data set does not know.
 *
 * @param {Dataset} dataset
 */
export async function readTopics({ name, folder }) {
  const maker = await makers[name]?.load();
  return maker?.topicsOf?.(readLines(path.join(folder, "base.txt")));
}

/** @param {string} folder */
function readMeta(folder) {
  const file = path.join(folder, "meta.json");
  if (!existsSync(file)) return undefined;
  return /** @type {Dataset} */ ({ ...JSON.parse(readFileSync(file, "utf8")), folder });
}

/**
 * @param {string} name
 * @param {Maker} maker
 * @param {string} folder
 * @param {number} n base rows
 */
async function make(name, maker, folder, n) {
  // Vectors made for a part are kept for the whole.
  const workplace = path.join(cache, name);
  for (const each of [folder, workplace]) mkdirSync(each, { recursive: true });
  console.log(`Making the data set '${name}' (${maker.source})`);
  const first = Number.isFinite(n) ? Math.ceil((n + QUERIES) * SLACK) : undefined;
  const { dimensions, matrix, labels } = await maker.makeVectors(workplace, first);
  const distinct = distinctRows(matrix, dimensions);
  const rows = maker.shuffled
    ? distinct
    : Array.from(permutation(distinct.length, SEED), (at) => /** @type {number} */ (distinct[at]));
  const queryRows = rows.slice(0, QUERIES);
  const baseRows = rows.slice(QUERIES, QUERIES + n);
  /** @type {(rows: number[]) => string[]} */
  const texts = (chosen) => chosen.map((row) => labels[row] ?? "");
  writeLines(path.join(folder, "queries.txt"), texts(queryRows));
  writeLines(path.join(folder, "base.txt"), texts(baseRows));
  const queries = takeRows(matrix, dimensions, queryRows);
  const base = takeRows(matrix, dimensions, baseRows);
  const made = await writeDataset({ name, source: maker.source, dimensions }, base, queries, folder);
  if (first === undefined) {
    for (const part of ["vectors.part", "vectors.part.sha256"]) {
      rmSync(path.join(workplace, part), { force: true });
    }
  }
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
  writeLines(path.join(folder, "base.txt"), readLines(path.join(from, "base.txt")).slice(0, n));
  writeLines(path.join(folder, "queries.txt"), readLines(path.join(from, "queries.txt")));
  return writeDataset({ name, source, dimensions }, base, queries, folder);
}

/** @param {string} file */
function readLines(file) {
  return readFileSync(file, "utf8").replace(/\n$/, "").split("\n");
}

/**
 * @param {string} file
 * @param {string[]} lines
 */
function writeLines(file, lines) {
  writeFileSync(file, `${lines.join("\n")}\n`);
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
