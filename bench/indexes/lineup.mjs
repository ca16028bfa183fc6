/** @typedef {import("./request.mjs").Settings} Settings */

/**
 * One curve of the comparison.
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} title
 * @property {string} peer module in `bench/peers`, or `upstream`
 * @property {string} [from] npm package (or crate) whose version is reported
 * @property {Settings} settings how the index is built
 * @property {Settings[]} points how it is searched; the first is what a user gets who sets nothing
 * @property {number} [queries] fewer queries, for what is slow and exact
 */

/**
 * @param {string} name
 * @param {number[]} values the first is the default
 * @returns {Settings[]}
 */
function sweep(name, values) {
  return values.map((value) => ({ [name]: value }));
}

/** @type {Entry[]} */
export const lineup = [
  {
    id: "js-scan",
    title: "plain JS loop (exact)",
    peer: "js-scan",
    settings: {},
    points: [{}],
    queries: 200,
  },
  {
    id: "flat",
    title: "FlatF32Index (exact)",
    peer: "rulake",
    settings: { index: "FlatF32Index" },
    points: [{}],
  },
  {
    id: "rabitq-1",
    title: "RabitqIndex, 1 bit, no raw",
    peer: "rulake",
    settings: { index: "RabitqIndex" },
    points: [{}],
  },
  {
    id: "asym-5",
    title: "RabitqAsymIndex, 1+4 bits, no raw",
    peer: "rulake",
    settings: { index: "RabitqAsymIndex", bits: 5 },
    points: [{}],
  },
  {
    id: "asym-8",
    title: "RabitqAsymIndex, 1+7 bits, no raw",
    peer: "rulake",
    settings: { index: "RabitqAsymIndex", bits: 8 },
    points: [{}],
  },
  {
    id: "plus",
    title: "RabitqPlusIndex",
    peer: "rulake",
    settings: { index: "RabitqPlusIndex" },
    points: [
      {},
      ...sweep("recallTarget", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1]),
      ...sweep("rerankFactor", [1, 2, 3, 5, 10, 20, 50]),
    ],
  },
  {
    id: "plus-1",
    title: "RabitqPlusIndex, bits: 1",
    peer: "rulake",
    settings: { index: "RabitqPlusIndex", bits: 1 },
    points: [{}, ...sweep("recallTarget", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])],
  },
  {
    id: "ivf",
    title: "RabitqIvfIndex",
    peer: "rulake",
    settings: { index: "RabitqIvfIndex" },
    points: [{}, ...sweep("recallTarget", [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999])],
  },
  {
    id: "hnswlib",
    title: "hnswlib-node",
    peer: "hnswlib",
    from: "hnswlib-node",
    settings: { m: 16, efConstruction: 200 },
    points: sweep(
      "ef",
      [10, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 1536, 2048],
    ),
  },
  {
    id: "usearch",
    title: "usearch f32",
    peer: "usearch",
    from: "usearch",
    settings: { quantization: "f32", connectivity: 16, expansionAdd: 128 },
    points: sweep("expansionSearch", [64, 16, 32, 48, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]),
  },
  {
    id: "upstream",
    title: "ruvector-rabitq Plus (Rust)",
    peer: "upstream",
    from: "ruvector-rabitq",
    settings: {},
    points: sweep("rerankFactor", [20, 5, 50, 100, 200]),
  },
];
