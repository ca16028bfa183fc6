import { STAGES } from "./churn.mjs";
import { escaped, lookOf, marker, placeAndTime } from "./looks.mjs";

const WIDTH = 1040;
const HEIGHT = 460;
const plot = { left: 84, top: 84, bottom: 400, gap: 48, width: 310 };
const STAGE_NAMES = {
  before: "before",
  after: "after",
  settled: "settled",
  reopened: "reopened",
  fresh: "built anew",
};

/**
 * Recall through the stages, one panel for each drift, at the settings a user gets who sets nothing.
 *
 * @param {import("../commands/churn.mjs").Results} results
 */
export function churnPlot({ dataset, entries, conditions, k }) {
  const drifts = Object.keys(entries[0]?.drift ?? {});
  const recalls = entries.flatMap(({ drift }) =>
    Object.values(drift).flatMap((run) => STAGES.map((stage) => run[stage][0]?.recall ?? 1)),
  );
  const lowest = Math.floor(Math.min(...recalls) * 20) / 20;
  const y = (/** @type {number} */ recall) =>
    plot.bottom - ((recall - lowest) / (1 - lowest)) * (plot.bottom - plot.top);
  const x = (/** @type {number} */ panel, /** @type {number} */ stage) =>
    plot.left + panel * (plot.width + plot.gap) + ((stage + 0.5) / STAGES.length) * plot.width;
  const ticks = Array.from({ length: 6 }, (_, at) => lowest + ((1 - lowest) * at) / 5);
  const panels = drifts.map((name, panel) => {
    const left = plot.left + panel * (plot.width + plot.gap);
    const lines = entries.map((entry) => {
      const run = entry.drift[name];
      if (run === undefined) return "";
      const places = STAGES.flatMap((stage, at) => {
        const [point] = run[stage];
        return point ? [{ x: x(panel, at), y: y(point.recall) }] : [];
      });
      const { colour, shape } = lookOf(entry.id);
      const path = places.map(
        (place, at) => `${at === 0 ? "M" : "L"}${place.x.toFixed(1)} ${place.y.toFixed(1)}`,
      );
      const markers = places.map(
        (place) =>
          `<g transform="translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})">${marker(shape)}</g>`,
      );
      return `<g fill="${colour}"><path d="${path.join("")}" fill="none" stroke="${colour}" stroke-width="2"/>${markers.join("")}</g>`;
    });
    return `<text x="${left}" y="${plot.top - 12}" font-weight="600">drift: ${escaped(name)}</text>
${ticks.map((tick) => `<path d="M${left} ${y(tick).toFixed(1)}H${left + plot.width}" stroke="#e4e4e4"/>`).join("")}
${STAGES.map((stage, at) => `<text x="${x(panel, at)}" y="${plot.bottom + 22}" text-anchor="middle">${STAGE_NAMES[stage]}</text>`).join("")}
${lines.join("\n")}`;
  });
  const right = plot.left + drifts.length * (plot.width + plot.gap);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="14" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="24" y="28" font-size="17" font-weight="600">${escaped(`${dataset.name}: recall@${k} while half of the rows are replaced, default settings`)}</text>
<text x="24" y="48" fill="#555">${placeAndTime(conditions)}</text>
${ticks.map((tick) => `<text x="${plot.left - 8}" y="${(y(tick) + 5).toFixed(1)}" text-anchor="end">${tick.toFixed(3)}</text>`).join("\n")}
${panels.join("\n")}
${entries.map(({ id, title }, at) => `<g transform="translate(${right} ${plot.top + 12 + at * 26})"><g fill="${lookOf(id).colour}">${marker(lookOf(id).shape)}</g><text x="18" y="5">${escaped(title)}</text></g>`).join("\n")}
</svg>
`;
}
