/** Colours that the colour-blind can tell apart (Okabe and Ito, and shades of them), and a shape for each besides. */
const looks = new Map([
  ["plus", { colour: "#d55e00", shape: "circle" }],
  ["plus-1", { colour: "#e69f00", shape: "circle" }],
  ["ivf", { colour: "#009e73", shape: "circle" }],
  ["asym-5", { colour: "#cc79a7", shape: "square" }],
  ["asym-8", { colour: "#9b2d6f", shape: "square" }],
  ["rabitq-1", { colour: "#cc79a7", shape: "triangle" }],
  ["flat", { colour: "#d55e00", shape: "diamond" }],
  ["hnswlib", { colour: "#0072b2", shape: "circle" }],
  ["usearch", { colour: "#56b4e9", shape: "square" }],
  ["zvec", { colour: "#003f66", shape: "diamond" }],
  ["lancedb", { colour: "#8a6d00", shape: "square" }],
  ["rabitqlib-raw", { colour: "#6a3d9a", shape: "circle" }],
  ["rabitqlib-raw-8", { colour: "#6a3d9a", shape: "diamond" }],
  ["rabitqlib-7", { colour: "#9f7fc4", shape: "square" }],
  ["rabitqlib-4", { colour: "#9f7fc4", shape: "triangle" }],
  ["rabitqlib-hnsw", { colour: "#7f7f00", shape: "triangle" }],
  ["symphonyqg", { colour: "#b22222", shape: "triangle" }],
  ["faiss-ivf", { colour: "#555555", shape: "square" }],
  ["faiss-hnsw", { colour: "#999999", shape: "circle" }],
  ["upstream", { colour: "#000000", shape: "triangle" }],
  ["js-scan", { colour: "#777777", shape: "diamond" }],
]);

/** @param {string} id of the lineup */
export function lookOf(id) {
  return looks.get(id) ?? { colour: "#777777", shape: "circle" };
}

/** @param {string} shape */
export function marker(shape) {
  if (shape === "square") return '<rect x="-4" y="-4" width="8" height="8"/>';
  if (shape === "triangle") return '<path d="M0-5.5L5 4H-5Z"/>';
  if (shape === "diamond") return '<path d="M0-6L6 0L0 6L-6 0Z"/>';
  return '<circle r="4.5"/>';
}

/** @param {string} text */
export function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** What a plot says of where and when. @param {{ cpu: string; node: string; date: string }} conditions */
export function placeAndTime({ cpu, node, date }) {
  return escaped(`${cpu}, Node.js ${node}, ${date.slice(0, 10)}`);
}
