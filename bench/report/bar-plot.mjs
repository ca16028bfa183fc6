import { escaped, lookOf, marker, placeAndTime } from "./looks.mjs";
import { logScale } from "./scale.mjs";
import { significant } from "./table.mjs";

const WIDTH = 1040;
const ROW = 28;
const plot = { left: 400, top: 72, right: 960 };

/**
 * One value for each of several things, on a logarithmic axis, as dots: bars would have no zero to begin at.
 *
 * @param {object} chart
 * @param {string} chart.title
 * @param {{ cpu: string; node: string; date: string }} chart.conditions
 * @param {string} chart.unit
 * @param {{ id: string; title: string; version?: string; value: number }[]} chart.bars
 */
export function barPlot({ title, conditions, unit, bars }) {
  const bottom = plot.top + bars.length * ROW;
  const x = logScale(
    bars.map(({ value }) => value),
    plot.left,
    plot.right,
  );
  const rows = bars.map(({ id, title: name, version, value }, at) => {
    const y = plot.top + (at + 0.5) * ROW;
    const place = x.place(value).toFixed(1);
    const { colour, shape } = lookOf(id);
    return `<text x="${plot.left - 10}" y="${y + 5}" text-anchor="end">${escaped(version ? `${name} ${version}` : name)}</text>
<g transform="translate(${place} ${y})" fill="${colour}">${marker(shape)}<text x="10" y="5">${significant(value)}</text></g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 64}" width="${WIDTH}" height="${bottom + 64}" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="14" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="24" y="28" font-size="17" font-weight="600">${escaped(title)}</text>
<text x="24" y="48" fill="#555">${placeAndTime(conditions)}</text>
${x.ticks.map((tick) => `<path d="M${x.place(tick).toFixed(1)} ${plot.top}V${bottom}" stroke="#e4e4e4"/><text x="${x.place(tick).toFixed(1)}" y="${bottom + 20}" text-anchor="middle">${tick.toLocaleString("en")}</text>`).join("\n")}
${rows.join("\n")}
<text x="${(plot.left + plot.right) / 2}" y="${bottom + 46}" text-anchor="middle">${escaped(unit)}</text>
</svg>
`;
}
