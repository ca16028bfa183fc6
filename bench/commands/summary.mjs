import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { toSummary } from "../lake/report.mjs";
import { lineup } from "../lineup.mjs";
import { fastestAt } from "../measure/statistics.mjs";
import { nameOf, significant, table } from "../report/table.mjs";
import { resultsFolder } from "../runner/results-file.mjs";

/** @typedef {import("./recall-qps.mjs").Results} Results */
/** @typedef {import("./recall-qps.mjs").Measured} Measured */

const TARGETS = [0.95, 0.99];
const OURS = "ivf";
const MARKERS = { from: "<!-- bench:summary -->", to: "<!-- /bench -->" };
const readme = new URL("../../README.md", import.meta.url);

/** Writes one table for each data set, and one of lakes, into the README, between its markers. */
export function writeSummary() {
  const text = readFileSync(readme, "utf8");
  const from = text.indexOf(MARKERS.from);
  const to = text.indexOf(MARKERS.to, from);
  if (from < 0 || to < 0) throw new Error(`README.md has no ${MARKERS.from} … ${MARKERS.to}`);
  const results = readResults();
  if (results.length === 0) return;
  const parts = [introduction(results), ...results.map(section), ...readLakes().map(toSummary)];
  const summary = `${MARKERS.from}\n${parts.join("\n\n")}\n`;
  writeFileSync(readme, text.slice(0, from) + summary + text.slice(to));
}

/** @returns {Results[]} those of the full data sets, or of the largest part that was measured; smallest first */
function readResults() {
  if (!existsSync(resultsFolder)) return [];
  const all = readdirSync(resultsFolder)
    .filter((file) => /^recall-qps-.*\.json$/.test(file))
    .map((file) => /** @type {Results} */ (JSON.parse(readFileSync(path.join(resultsFolder, file), "utf8"))))
    .filter(({ entries }) => entries.some(({ id }) => id === OURS))
    .toSorted((a, b) => a.dataset.n - b.dataset.n);
  return all.filter(
    ({ dataset }, at) => !all.slice(at + 1).some((larger) => larger.dataset.name === dataset.name),
  );
}

/** @returns {import("../lake/compare.mjs").Results[]} */
function readLakes() {
  return readdirSync(resultsFolder)
    .filter((file) => /^lake-.*\.json$/.test(file))
    .map((file) => JSON.parse(readFileSync(path.join(resultsFolder, file), "utf8")));
}

/** @param {Results[]} results */
function introduction(results) {
  const { cpu, cores, node } = /** @type {Results} */ (results[0]).conditions;
  const dates = results.map(({ conditions }) => conditions.date.slice(0, 10)).toSorted();
  const when = [...new Set([dates[0], dates.at(-1)])].join(" to ");
  return `\`npm run bench -- recall-qps\`, ${when}, ${cores} cores of ${cpu}, Node.js ${node}. Cosine, one thread, one
query a call; queries per CPU second of the fastest measured setting that reaches the recall@10, and how many
times that \`RabitqIvfIndex\` answers; CPU seconds to build, and how many times its own. Ratios travel, absolute figures do not.
Of rabitqlib's IVF, the best of its builds at each recall. The reports say which figures come from an earlier run.`;
}

/** @param {Results} results */
function section({ dataset, entries, name }) {
  const ours = entries.find(({ id }) => id === OURS);
  const rows = groups(entries).map((group) => row(group, ours, dataset.n));
  return `${dataset.n.toLocaleString("en")} x ${dataset.dimensions}, ${dataset.source} ([all points](bench/results/${name}.md)):

${table(["index", "QPS at recall .95", "at .99", "build CPU s", "bytes a vector on disk"], rows)}`;
}

/**
 * Entries of which only the best counts, together.
 *
 * @param {Measured[]} entries
 */
function groups(entries) {
  const keys = new Map(lineup.map(({ id, group }) => [id, group ?? id]));
  /** @type {Map<string, Measured[]>} */
  const found = new Map();
  for (const entry of entries) {
    const key = keys.get(entry.id);
    if (key !== undefined) found.set(key, [...(found.get(key) ?? []), entry]);
  }
  return [...found.entries()].map(([key, members]) => ({ key, members }));
}

/**
 * @param {{ key: string; members: Measured[] }} group
 * @param {Measured | undefined} ours
 * @param {number} n
 */
function row({ key, members }, ours, n) {
  const first = /** @type {Measured} */ (members[0]);
  const name = members.length > 1 ? nameOf({ ...first, title: key }) : nameOf(first);
  const cells = TARGETS.map((target) => {
    const best = fastestOf(members, target);
    if (best === undefined) return "-";
    const own = ours && fastestAt(ours.points, target);
    return withRatio(best.point.cpuQps, own && own.cpuQps / best.point.cpuQps);
  });
  const { entry } = fastestOf(members, /** @type {number} */ (TARGETS[0])) ?? { entry: first };
  const { cpu } = entry.build.build;
  return [
    /^Flat|^Rabitq/.test(name) ? name.replace(/^\w+/, "`$&`") : name,
    ...cells,
    withRatio(cpu, ours && cpu / ours.build.build.cpu),
    Math.round(entry.build.diskBytes / n).toLocaleString("en"),
  ];
}

/**
 * @param {Measured[]} members
 * @param {number} target
 */
function fastestOf(members, target) {
  return members
    .flatMap((entry) => {
      const point = fastestAt(entry.points, target);
      return point ? [{ entry, point }] : [];
    })
    .toSorted((a, b) => b.point.cpuQps - a.point.cpuQps)[0];
}

/**
 * @param {number} value
 * @param {number | undefined} ratio
 */
function withRatio(value, ratio) {
  const text = value >= 100 ? Math.round(value).toLocaleString("en") : significant(value);
  return ratio === undefined ? text : `${text} (${significant(Number(ratio.toPrecision(2)))}x)`;
}
