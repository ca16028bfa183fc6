import { openFilters } from "../datasets/filters.mjs";
import { chooseEntries } from "../lineup.mjs";
import { toPoint } from "../measure/statistics.mjs";
import { toMarkdown } from "../report/filtered.mjs";
import { filteredPlot } from "../report/filtered-plot.mjs";
import { builtIndex } from "../runner/built-index.mjs";
import { requestFor } from "../runner/request-for.mjs";
import { writeResults } from "../runner/results-file.mjs";
import { prepareRuntimes, runStep } from "../runner/runtimes.mjs";

/** @typedef {import("../measure/statistics.mjs").Point} Point */
/** @typedef {{ id: string; kind: string; share: number; matching: number; points: Point[] }} FilterFigures */
/** @typedef {{ queries: number; filters: FilterFigures[] }} Figures */
/** @typedef {import("../runner/results-file.mjs").Results<Figures>} Results */
/** @typedef {import("../runner/results-file.mjs").About & Figures} Measured */

export const about =
  "recall and time under filters, random ones and such as follow the data, beside an exact scan";

const QUERIES = 200;

/** Peers that filter by columns get indexes with such columns. */
const BY_COLUMN = new Set(["zvec", "lancedb"]);

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run(dataset, { quick, only }) {
  const entries = chooseEntries(only, ({ filtered }) => filtered !== undefined);
  const { ready, commands } = prepareRuntimes(entries);
  const filters = await openFilters(dataset, QUERIES);
  writeResults({
    command: "filtered",
    dataset,
    quick,
    entries: ready,
    measure: (entry) => measure(entry, dataset, filters, commands.get(entry.id) ?? [], quick),
    print,
    toMarkdown,
    toPlot: filteredPlot,
  });
}

/**
 * @param {import("../lineup.mjs").Entry} entry
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../datasets/filters.mjs").Filter[]} filters
 * @param {string[]} command
 * @param {boolean} quick
 * @returns {Figures}
 */
function measure(entry, dataset, filters, command, quick) {
  const columns = BY_COLUMN.has(entry.peer) ? { filters } : {};
  const { file } = builtIndex(entry, dataset, { command, quick, ...columns });
  const points = entry.filtered ?? [];
  const options = { quick, step: /** @type {const} */ ("filtered"), index: file, points, queries: QUERIES };
  const request = {
    ...requestFor(entry, dataset, options),
    filters,
    rowCount: dataset.n,
    seconds: quick ? 1 : 5,
  };
  const result = /** @type {import("../measure/request.mjs").FilteredResult} */ (runStep(command, request));
  return {
    queries: request.queryCount,
    filters: result.filters.map((measured, at) => {
      const { id, kind, share, matching } = /** @type {FilterFigures} */ (
        /** @type {unknown} */ (filters[at])
      );
      const figures = measured.points.map((point, place) =>
        toPoint(points[place] ?? {}, point, request.queryCount),
      );
      return { id, kind, share, matching, points: figures };
    }),
  };
}

/** @param {Measured} figures */
function print({ title, filters }) {
  console.log(title);
  for (const { id, points } of filters) {
    const all = points.map(({ recall, cpuMs }) => `${recall.toFixed(3)} in ${cpuMs.toFixed(3)} ms`);
    console.log(`  ${id.padEnd(14)} ${all.join(", ")}`);
  }
}
