/** @typedef {import("./measure/request.mjs").Settings} Settings */

/**
 * One index of the comparison.
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} title
 * @property {string} [group] of which the summary takes the best
 * @property {Runtime} runtime
 * @property {string} peer module in `bench/peers`
 * @property {string} [from] package (npm, PyPI) or crate whose version is reported
 * @property {Settings} settings how the index is built
 * @property {Settings[]} points how it is searched; the first is what a user gets who sets nothing, if there is that
 * @property {number} [queries] fewer queries, for what is slow and exact
 * @property {boolean} [promises] whether it takes `recallTarget` as a promise that is checked
 * @property {Settings[]} [filtered] points of `filtered`
 * @property {Settings[]} [churn] points of `churn`
 * @property {boolean} [overhead] whether it takes part in `overhead`
 */

/** @typedef {"node" | "newer-node" | "python" | "rust"} Runtime what its process runs in */

/**
 * @param {string} name
 * @param {number[]} values the first is the default
 * @returns {Settings[]}
 */
function sweep(name, values) {
  return values.map((value) => ({ [name]: value }));
}

/**
 * Every value of the one with every value of the other.
 *
 * @param {Settings[]} these
 * @param {Settings[]} those
 */
function cross(these, those) {
  return these.flatMap((one) => those.map((other) => ({ ...one, ...other })));
}

const EF = [16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 1536, 2048];
const NPROBE = [4, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768];

/** @type {Entry[]} */
export const lineup = [
  {
    id: "js-scan",
    title: "plain JS loop (exact)",
    runtime: "node",
    peer: "js-scan",
    settings: {},
    points: [{}],
    queries: 100,
  },
  {
    id: "flat",
    title: "FlatF32Index (exact)",
    runtime: "node",
    peer: "rulake",
    settings: { index: "FlatF32Index" },
    points: [{}],
    queries: 200,
    filtered: [{}],
  },
  {
    id: "rabitq-1",
    title: "RabitqIndex, 1 bit, no raw",
    runtime: "node",
    peer: "rulake",
    settings: { index: "RabitqIndex" },
    points: [{}],
  },
  {
    id: "asym-5",
    title: "RabitqAsymIndex, 1+4 bits, no raw",
    runtime: "node",
    peer: "rulake",
    settings: { index: "RabitqAsymIndex", bits: 5 },
    points: [{}],
  },
  {
    id: "asym-8",
    title: "RabitqAsymIndex, 1+7 bits, no raw",
    runtime: "node",
    peer: "rulake",
    settings: { index: "RabitqAsymIndex", bits: 8 },
    points: [{}],
  },
  {
    id: "plus",
    title: "RabitqPlusIndex",
    runtime: "node",
    peer: "rulake",
    settings: { index: "RabitqPlusIndex" },
    points: [
      {},
      ...sweep("recallTarget", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1]),
      ...sweep("rerankFactor", [1, 2, 3, 5, 10, 20, 50]),
    ],
    promises: true,
    filtered: [{}],
    churn: [{}, ...sweep("recallTarget", [0.95, 0.99])],
    overhead: true,
  },
  {
    id: "plus-1",
    title: "RabitqPlusIndex, bits: 1",
    runtime: "node",
    peer: "rulake",
    settings: { index: "RabitqPlusIndex", bits: 1 },
    points: [{}, ...sweep("recallTarget", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])],
  },
  {
    id: "ivf",
    title: "RabitqIvfIndex",
    runtime: "node",
    peer: "rulake",
    settings: { index: "RabitqIvfIndex" },
    points: [
      {},
      ...sweep(
        "recallTarget",
        [0.8, 0.9, 0.92, 0.93, 0.94, 0.945, 0.95, 0.96, 0.97, 0.98, 0.985, 0.986, 0.99, 0.995, 0.998, 0.999],
      ),
    ],
    promises: true,
    filtered: [{}],
    churn: [{}, ...sweep("recallTarget", [0.95, 0.99])],
    overhead: true,
  },
  {
    id: "hnswlib",
    title: "hnswlib-node",
    runtime: "node",
    peer: "hnswlib",
    from: "hnswlib-node",
    settings: { m: 16, efConstruction: 200 },
    points: sweep("ef", [10, ...EF]),
    filtered: sweep("ef", [10, 64, 128, 256, 512, 1024]),
    churn: sweep("ef", [10, 64, 256]),
  },
  {
    id: "usearch",
    title: "usearch f32",
    runtime: "newer-node",
    peer: "usearch",
    from: "usearch",
    settings: { quantization: "f32", connectivity: 16, expansionAdd: 128 },
    points: sweep("expansionSearch", [64, ...EF.filter((ef) => ef !== 64)]),
    // Its width of search is set when it loads, so a changed index has one.
    churn: sweep("expansionSearch", [64]),
  },
  {
    id: "zvec",
    title: "zvec HNSW",
    runtime: "node",
    peer: "zvec",
    from: "@zvec/zvec",
    settings: { type: "HNSW" },
    points: [{}, ...sweep("ef", EF)],
    filtered: [{}, ...sweep("ef", [32, 64, 128, 512, 1024])],
    churn: [{}, ...sweep("ef", [64, 128])],
  },
  {
    id: "lancedb",
    title: "LanceDB IVF_RQ",
    runtime: "newer-node",
    peer: "lancedb",
    from: "@lancedb/lancedb",
    settings: {},
    points: [
      {},
      ...cross(
        sweep("nprobes", [10, 20, 30, 40, 60, 80, 120, 160, 240]),
        sweep("refineFactor", [3, 5, 10, 20]),
      ),
    ],
    queries: 200,
    filtered: [{}, ...cross(sweep("nprobes", [20, 60, 160]), sweep("refineFactor", [5, 20]))],
    churn: [{}, { nprobes: 40, refineFactor: 10 }],
  },
  {
    id: "rabitqlib-raw",
    title: "rabitqlib IVF, 1 bit + raw",
    group: "rabitqlib IVF",
    runtime: "python",
    peer: "rabitqlib_ivf",
    from: "rabitqlib",
    settings: { bits: 32, listsPerRoot: 4, fastQuantization: true },
    points: sweep("nprobe", NPROBE),
  },
  {
    id: "rabitqlib-raw-8",
    title: "rabitqlib IVF, 1 bit + raw, twice the lists",
    group: "rabitqlib IVF",
    runtime: "python",
    peer: "rabitqlib_ivf",
    from: "rabitqlib",
    settings: { bits: 32, listsPerRoot: 8, fastQuantization: true },
    points: sweep("nprobe", NPROBE),
  },
  {
    id: "rabitqlib-7",
    title: "rabitqlib IVF, 7 bits",
    group: "rabitqlib IVF",
    runtime: "python",
    peer: "rabitqlib_ivf",
    from: "rabitqlib",
    settings: { bits: 7, listsPerRoot: 4, fastQuantization: true },
    points: sweep("nprobe", NPROBE),
  },
  {
    id: "rabitqlib-4",
    title: "rabitqlib IVF, 4 bits",
    group: "rabitqlib IVF",
    runtime: "python",
    peer: "rabitqlib_ivf",
    from: "rabitqlib",
    settings: { bits: 4, listsPerRoot: 4, fastQuantization: true },
    points: sweep("nprobe", NPROBE),
  },
  {
    id: "rabitqlib-hnsw",
    title: "rabitqlib HNSW, 9 bits",
    runtime: "python",
    peer: "rabitqlib_hnsw",
    from: "rabitqlib",
    settings: { bits: 9, centroids: 16, m: 16, efConstruction: 200 },
    points: sweep("ef", EF),
  },
  {
    id: "symphonyqg",
    title: "rabitqlib SymphonyQG, raw",
    runtime: "python",
    peer: "rabitqlib_symqg",
    from: "rabitqlib",
    settings: { bits: 0, degree: 32, efConstruction: 200 },
    points: sweep("ef", [12, ...EF.filter((ef) => ef <= 1024)]),
  },
  {
    id: "faiss-ivf",
    title: "faiss IVF RaBitQ FastScan + SQ8",
    runtime: "python",
    peer: "faiss_index",
    from: "faiss-cpu",
    settings: { factory: "RR{dimensions},IVF{lists},RaBitQfs,Refine(SQ8)", listsPerRoot: 4 },
    points: cross(sweep("nprobe", NPROBE), sweep("refineFactor", [5, 10, 20])),
    queries: 500,
  },
  {
    id: "faiss-hnsw",
    title: "faiss HNSW32",
    runtime: "python",
    peer: "faiss_index",
    from: "faiss-cpu",
    settings: { factory: "HNSW32" },
    points: sweep("ef", EF),
  },
  {
    id: "upstream",
    title: "ruvector-rabitq Plus (Rust)",
    runtime: "rust",
    peer: "upstream",
    from: "ruvector-rabitq",
    settings: {},
    points: sweep("rerankFactor", [20, 5, 50, 100, 200]),
    queries: 200,
  },
];

/**
 * Whether the first point of an entry is what a user gets who sets nothing; in Python, one has to say how to search.
 *
 * @param {string} id
 */
export function hasDefault(id) {
  return lineup.some((entry) => entry.id === id && entry.runtime !== "python");
}

/**
 * Those of the lineup that are asked for and can take part.
 *
 * @param {string[]} only ids; none: all
 * @param {(entry: Entry) => unknown} takesPart
 */
export function chooseEntries(only, takesPart) {
  const unknown = only.filter((id) => !lineup.some((entry) => entry.id === id));
  if (unknown.length > 0) {
    const known = lineup.map(({ id }) => id).join(", ");
    throw new Error(`Not in the lineup: ${unknown.join(", ")}. It has ${known}.`);
  }
  return lineup.filter((entry) => takesPart(entry) && (only.length === 0 || only.includes(entry.id)));
}
