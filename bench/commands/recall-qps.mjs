import { chooseEntries } from "../lineup.mjs";
import { toPoint } from "../measure/statistics.mjs";
import { recallPlot } from "../report/recall-plot.mjs";
import { toMarkdown } from "../report/recall-qps.mjs";
import { builtIndex } from "../runner/built-index.mjs";
import { pointsOf, requestFor } from "../runner/request-for.mjs";
import { writeResults } from "../runner/results-file.mjs";
import { prepareRuntimes, runStep } from "../runner/runtimes.mjs";

/** @typedef {import("../measure/request.mjs").SearchResult} SearchResult */
/** @typedef {import("../measure/statistics.mjs").Point} Point */

/**
 * @typedef {object} Figures times in seconds unless the name says otherwise
 * @property {number} queries
 * @property {import("../runner/built-index.mjs").Built} build
 * @property {Omit<SearchResult, "points" | "promises">} open
 * @property {Point[]} points
 * @property {{ recallTarget: number; k: number; recall: number; cpuMs: number }[]} [promises]
 */

/** @typedef {import("../runner/results-file.mjs").Results<Figures>} Results */
/** @typedef {import("../runner/results-file.mjs").About & Figures} Measured */

export const about = "recall and speed of every index at every setting, and whether recall targets are kept";

const PROMISES = [1, 10, 100].flatMap((k) => [0.9, 0.95, 0.99].map((recallTarget) => ({ recallTarget, k })));

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run(dataset, { quick, only }) {
  const { ready, commands } = prepareRuntimes(chooseEntries(only, () => true));
  writeResults({
    command: "recall-qps",
    dataset,
    quick,
    entries: ready,
    measure: (entry) => measure(entry, dataset, commands.get(entry.id) ?? [], quick),
    print,
    toMarkdown,
    toPlot: recallPlot,
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
  const { file, built } = builtIndex(entry, dataset, { command, quick });
  const settings = pointsOf(entry.points, quick);
  const request = requestFor(entry, dataset, { quick, step: "search", index: file, points: settings });
  const asked = entry.promises ? { ...request, promises: PROMISES } : request;
  const { points, promises, ...open } = /** @type {SearchResult} */ (runStep(command, asked));
  const queries = request.queryCount;
  return {
    queries,
    build: built,
    open,
    points: points.map((point, at) => toPoint(settings[at] ?? {}, point, queries)),
    ...(promises
      ? {
          promises: promises.map(({ recallTarget, k, ...reached }) => {
            const { recall, cpuMs } = toPoint({}, reached, queries);
            return { recallTarget, k, recall, cpuMs };
          }),
        }
      : {}),
  };
}

/** @param {Measured} figures */
function print({ title, build, open, points }) {
  const { wall, cpu } = build.build;
  console.log(
    `${title}: build ${cpu.toFixed(2)} CPU s (${wall.toFixed(2)} s), ${(build.diskBytes / 1e6).toFixed(1)} MB, ` +
      `load ${(open.load.wall * 1000).toFixed(1)} ms`,
  );
  for (const { settings, recall, cpuQps, p50Ms } of points) {
    const how = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
    console.log(
      `  ${(how.join(", ") || "default").padEnd(30)} recall ${recall.toFixed(4)}  ${cpuQps.toFixed(0).padStart(6)} QPS by CPU, p50 ${p50Ms.toFixed(3)} ms`,
    );
  }
}
