import { chooseEntries } from "../lineup.mjs";
import { barPlot } from "../report/bar-plot.mjs";
import { toMarkdown } from "../report/build.mjs";
import { buildIndex } from "../runner/built-index.mjs";
import { requestFor } from "../runner/request-for.mjs";
import { writeResults } from "../runner/results-file.mjs";
import { prepareRuntimes, runStep } from "../runner/runtimes.mjs";

/**
 * @typedef {object} Figures
 * @property {import("../runner/built-index.mjs").Built} build
 * @property {Omit<import("../measure/request.mjs").SearchResult, "points">} open
 */

/** @typedef {import("../runner/results-file.mjs").Results<Figures>} Results */
/** @typedef {import("../runner/results-file.mjs").About & Figures} Measured */

export const about = "time, memory and disk of building, opening and the first query";

/** Queries that are asked before memory is looked at. */
const QUERIES = 100;

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run(dataset, { quick, only }) {
  const { ready, commands } = prepareRuntimes(chooseEntries(only, () => true));
  writeResults({
    command: "build",
    dataset,
    quick,
    entries: ready,
    measure: (entry) => measure(entry, dataset, commands.get(entry.id) ?? [], quick),
    print,
    toMarkdown,
    toPlot: ({ dataset: data, entries, conditions }) =>
      barPlot({
        title: `${data.name}: CPU seconds to build an index of ${data.n.toLocaleString("en")} x ${data.dimensions}`,
        conditions,
        unit: "CPU seconds (left is better)",
        bars: entries.map((entry) => ({ ...entry, value: entry.build.build.cpu })),
      }),
  });
}

/**
 * @param {import("../lineup.mjs").Entry} entry
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {string[]} command
 * @param {boolean} quick
 * @returns {Figures}
 */
function measure(entry, dataset, command, quick) {
  const { file, built } = buildIndex(entry, dataset, { command, quick });
  const points = entry.points.slice(0, 1);
  const request = requestFor(entry, dataset, {
    quick,
    step: "search",
    index: file,
    points,
    queries: QUERIES,
  });
  const { points: _, ...open } = runStep(command, { ...request, rounds: 1 });
  return { build: built, open };
}

/** @param {Measured} figures */
function print({ title, build, open }) {
  const { wall, cpu } = build.build;
  console.log(
    `${title}: ${cpu.toFixed(2)} CPU s, ${wall.toFixed(2)} s, peak ${(build.peakBytes / 1e6).toFixed(0)} MB, ` +
      `${(build.diskBytes / 1e6).toFixed(1)} MB on disk, load ${(open.load.wall * 1000).toFixed(1)} ms, ` +
      `first query ${(open.firstQuery.wall * 1000).toFixed(1)} ms`,
  );
}
