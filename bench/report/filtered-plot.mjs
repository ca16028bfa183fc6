import { fastestAt } from "../measure/statistics.mjs";
import { pointsUnder, TARGET } from "./filtered.mjs";
import { escaped, lookOf, marker, placeAndTime } from "./looks.mjs";
import { logScale } from "./scale.mjs";
import { significant } from "./table.mjs";

const WIDTH = 1040;
const ROW = 34;
const plot = { left: 150, top: 84, right: 780 };

/**
 * CPU time of a query under each filter, at the fastest setting that reaches the recall.
 *
 * @param {import("../commands/filtered.mjs").Results} results
 */
export function filteredPlot({ dataset, entries, conditions }) {
  const filters = entries[0]?.filters ?? [];
  const cells = filters.flatMap(({ id }, row) =>
    entries.flatMap((entry) => {
      const best = fastestAt(pointsUnder(entry, id), TARGET);
      return best ? [{ entry, id, row, best }] : [];
    }),
  );
  const bottom = plot.top + filters.length * ROW;
  const x = logScale(
    cells.map(({ best }) => best.cpuMs),
    plot.left,
    plot.right,
  );
  const rowAt = (/** @type {number} */ row) => plot.top + (row + 0.5) * ROW;
  const height = Math.max(bottom + 64, plot.top + entries.length * 26 + 20);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="14" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="24" y="28" font-size="17" font-weight="600">${escaped(`${dataset.name}: ${dataset.n.toLocaleString("en")} x ${dataset.dimensions} under filters, recall@10 >= ${TARGET}`)}</text>
<text x="24" y="48" fill="#555">${placeAndTime(conditions)}</text>
${x.ticks.map((tick) => `<path d="M${x.place(tick).toFixed(1)} ${plot.top}V${bottom}" stroke="#e4e4e4"/><text x="${x.place(tick).toFixed(1)}" y="${bottom + 20}" text-anchor="middle">${tick}</text>`).join("\n")}
${filters.map(({ id }, row) => `<path d="M${plot.left} ${rowAt(row)}H${plot.right}" stroke="#e4e4e4"/><text x="${plot.left - 10}" y="${rowAt(row) + 5}" text-anchor="end">${escaped(id)}</text>`).join("\n")}
<text x="${(plot.left + plot.right) / 2}" y="${bottom + 46}" text-anchor="middle">CPU milliseconds a query (left is better)</text>
${cells.map(({ entry, row, best }) => `<g transform="translate(${x.place(best.cpuMs).toFixed(1)} ${rowAt(row)})" fill="${lookOf(entry.id).colour}"><title>${escaped(`${entry.title}: ${significant(best.cpuMs)} ms, recall ${best.recall.toFixed(3)}`)}</title>${marker(lookOf(entry.id).shape)}</g>`).join("\n")}
${entries.map(({ id, title }, at) => `<g transform="translate(${plot.right + 30} ${plot.top + 12 + at * 26})"><g fill="${lookOf(id).colour}">${marker(lookOf(id).shape)}</g><text x="18" y="5">${escaped(title)}</text></g>`).join("\n")}
</svg>
`;
}
