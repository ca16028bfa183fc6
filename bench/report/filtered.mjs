import { fastestAt } from "../measure/statistics.mjs";
import { heading, nameOf, settingsText, significant, table } from "./table.mjs";

/** @typedef {import("../commands/filtered.mjs").Results} Results */
/** @typedef {import("../commands/filtered.mjs").Measured} Measured */
/** @typedef {import("../commands/filtered.mjs").FilterFigures} FilterFigures */

/** Recall the fastest point is looked for at. */
export const TARGET = 0.95;

/** What scans all rows that match. */
const EXACT = "flat";

/** @param {Results} results */
export function toMarkdown(results) {
  const { entries, k } = results;
  const [first] = entries;
  const filters = first?.filters ?? [];
  return `${heading(results, "Filters")}

Recall@${k} and CPU milliseconds of a query when only some rows may be found. \`random\`: rows drawn by lot; \`near\`: the rows nearest to one of them, so that most queries lie elsewhere; \`topics\`: all rows of some topics. \`FlatF32Index\` with the same filter scans exactly the rows that match.

![CPU time under filters](${results.name}.svg)

## As it comes

${table(
  ["index", ...filters.map(({ id, matching }) => `${id} (${matching.toLocaleString("en")} rows)`)],
  entries.map((entry) => [
    nameOf(entry),
    ...filters.map((filter) => cell(entry, filter.id, (points) => points[0])),
  ]),
)}

## The fastest with recall >= ${TARGET}

In brackets its time over that of the exact scan.

${table(
  ["index", ...filters.map(({ id }) => id)],
  entries.map((entry) => [nameOf(entry), ...filters.map((filter) => fastest(entry, filter.id, entries))]),
)}

## All points

${table(
  ["index", "filter", "setting", "recall", "CPU ms", "p50 ms", "p99 ms"],
  entries.flatMap((entry) =>
    entry.filters.flatMap(({ id, points }) =>
      points.map(({ settings, recall, cpuMs, p50Ms, p99Ms }) => [
        nameOf(entry),
        id,
        settingsText(settings),
        recall.toFixed(4),
        ...[cpuMs, p50Ms, p99Ms].map(significant),
      ]),
    ),
  ),
)}
`;
}

/**
 * @param {Measured} entry
 * @param {string} id
 */
export function pointsUnder(entry, id) {
  return entry.filters.find((filter) => filter.id === id)?.points ?? [];
}

/**
 * @param {Measured} entry
 * @param {string} id
 * @param {(points: FilterFigures["points"]) => FilterFigures["points"][number] | undefined} choose
 */
function cell(entry, id, choose) {
  const point = choose(pointsUnder(entry, id));
  return point ? `${point.recall.toFixed(3)} in ${significant(point.cpuMs)}` : "-";
}

/**
 * @param {Measured} entry
 * @param {string} id
 * @param {Measured[]} entries
 */
function fastest(entry, id, entries) {
  const best = fastestAt(pointsUnder(entry, id), TARGET);
  if (best === undefined) return "-";
  const exact = entries.find((other) => other.id === EXACT);
  const [scan] = exact ? pointsUnder(exact, id) : [];
  return `${significant(best.cpuMs)}${scan ? ` (${significant(best.cpuMs / scan.cpuMs)}x)` : ""}`;
}
