import { hasDefault } from "../lineup.mjs";
import { escaped, lookOf, marker, placeAndTime } from "./looks.mjs";
import { logScale } from "./scale.mjs";

/** @typedef {import("../commands/recall-qps.mjs").Results} Results */
/** @typedef {import("../commands/recall-qps.mjs").Measured} Measured */
/** @typedef {import("../measure/statistics.mjs").Point} Point */

const WIDTH = 1040;
const HEIGHT = 660;
const plot = { left: 84, top: 64, right: 690, bottom: 596 };

/** Recall is drawn by the share that is missed, on a log scale; all above this counts as 1. */
const FULL = 0.9997;
const RECALL_TICKS = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1];

/**
 * The curves as an SVG image. Lines join the points of which no other is better in both directions; the ring marks
 * what a user gets who sets nothing.
 *
 * @param {Results} results
 */
export function recallPlot({ dataset, entries, k, conditions }) {
  const points = entries.flatMap((entry) => entry.points);
  const x = recallScale(points.map(({ recall }) => recall));
  const y = logScale(
    points.map(({ cpuQps }) => cpuQps),
    plot.bottom,
    plot.top,
  );
  const title = `${dataset.name}: ${dataset.n.toLocaleString("en")} x ${dataset.dimensions}, cosine, one thread, one query a call`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="14" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${plot.left}" y="28" font-size="17" font-weight="600">${escaped(title)}</text>
<text x="${plot.left}" y="48" fill="#555">${placeAndTime(conditions)}</text>
${x.ticks.map((tick) => column(x.place(tick), String(tick))).join("\n")}
${y.ticks.map((tick) => line(y.place(tick), tick.toLocaleString("en"))).join("\n")}
<rect x="${plot.left}" y="${plot.top}" width="${plot.right - plot.left}" height="${plot.bottom - plot.top}" fill="none" stroke="#555"/>
<text x="${(plot.left + plot.right) / 2}" y="${plot.bottom + 46}" text-anchor="middle">recall@${k} (right is better)</text>
<text transform="translate(22 ${(plot.top + plot.bottom) / 2}) rotate(-90)" text-anchor="middle">queries per CPU second (up is better)</text>
${entries
  .map((entry) => curve(entry, x.place, y.place))
  .toReversed()
  .join("\n")}
${entries.map((entry, at) => key(entry, plot.top + 12 + at * 24)).join("\n")}
<g transform="translate(${plot.right + 36} ${plot.top + 24 + entries.length * 24})" fill="#555"><circle r="8" fill="none" stroke="#555"/><text x="20" y="5">what you get without options</text></g>
</svg>
`;
}

/** @param {number[]} recalls */
function recallScale(recalls) {
  const nines = (/** @type {number} */ recall) => -Math.log10(1 - Math.min(recall, FULL));
  const lowest = Math.min(...recalls);
  const first = RECALL_TICKS.findLast((tick) => tick <= lowest) ?? 0;
  const [from, to] = [nines(first), nines(1) + 0.12];
  return {
    ticks: RECALL_TICKS.filter((tick) => tick >= first),
    place: (/** @type {number} */ recall) =>
      plot.left + ((nines(recall) - from) / (to - from)) * (plot.right - plot.left),
  };
}

/**
 * @param {number} x
 * @param {string} label
 */
function column(x, label) {
  const at = x.toFixed(1);
  return `<path d="M${at} ${plot.top}V${plot.bottom}" stroke="#e4e4e4"/><text x="${at}" y="${plot.bottom + 20}" text-anchor="middle">${label}</text>`;
}

/**
 * @param {number} y
 * @param {string} label
 */
function line(y, label) {
  const at = y.toFixed(1);
  return `<path d="M${plot.left} ${at}H${plot.right}" stroke="#e4e4e4"/><text x="${plot.left - 8}" y="${(y + 5).toFixed(1)}" text-anchor="end">${label}</text>`;
}

/**
 * @param {Measured} entry
 * @param {(recall: number) => number} x
 * @param {(qps: number) => number} y
 */
function curve({ id, title, points }, x, y) {
  const { colour, shape } = lookOf(id);
  const best = frontier(points);
  const path = best.map(
    (p, at) => `${at === 0 ? "M" : "L"}${x(p.recall).toFixed(1)} ${y(p.cpuQps).toFixed(1)}`,
  );
  const markers = points.map((point, at) => {
    const how = Object.entries(point.settings).map(([name, value]) => `${name} ${value}`);
    const about = `${title}, ${how.join(", ") || "no options"}: recall ${point.recall.toFixed(4)}, ${Math.round(point.cpuQps)} queries per CPU second`;
    const place = `translate(${x(point.recall).toFixed(1)} ${y(point.cpuQps).toFixed(1)})`;
    const ring = at === 0 && hasDefault(id) ? `<circle r="8" fill="none" stroke="${colour}"/>` : "";
    const faded = at === 0 || best.includes(point) ? "" : ' opacity="0.35"';
    return `<g transform="${place}"${faded}><title>${escaped(about)}</title>${marker(shape)}${ring}</g>`;
  });
  const width = id === "plus" || id === "ivf" ? 3 : 2;
  return `<g fill="${colour}"><path d="${path.join("")}" fill="none" stroke="${colour}" stroke-width="${width}"/>${markers.join("")}</g>`;
}

/**
 * @param {Measured} entry
 * @param {number} y
 */
function key({ id, title, version }, y) {
  const { colour, shape } = lookOf(id);
  const label = version ? `${title} ${version}` : title;
  return `<g transform="translate(${plot.right + 36} ${y})"><g fill="${colour}"><path d="M-14 0H14" stroke="${colour}" stroke-width="2"/>${marker(shape)}</g><text x="24" y="5">${escaped(label)}</text></g>`;
}

/** @param {Point[]} points */
function frontier(points) {
  const better = (/** @type {Point} */ a, /** @type {Point} */ b) =>
    a.recall >= b.recall && a.cpuQps >= b.cpuQps && (a.recall > b.recall || a.cpuQps > b.cpuQps);
  return points
    .filter((point) => !points.some((other) => better(other, point)))
    .toSorted((a, b) => a.recall - b.recall);
}
