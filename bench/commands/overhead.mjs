import { buildRust } from "../install.mjs";
import { chooseEntries } from "../lineup.mjs";
import { median } from "../measure/statistics.mjs";
import { barPlot } from "../report/bar-plot.mjs";
import { toMarkdown } from "../report/overhead.mjs";
import { builtIndex } from "../runner/built-index.mjs";
import { requestFor } from "../runner/request-for.mjs";
import { writeResults } from "../runner/results-file.mjs";
import { prepareRuntimes, runStep } from "../runner/runtimes.mjs";

/** @typedef {import("../measure/request.mjs").OverheadResult} OverheadResult */
/** @typedef {{ id: string; what: string; cpuUs: number; p50Us: number; p99Us: number }} Way microseconds a query */
/** @typedef {{ queries: number; ways: Way[] }} Figures */
/** @typedef {import("../runner/results-file.mjs").Results<Figures>} Results */
/** @typedef {import("../runner/results-file.mjs").About & Figures} Measured */

export const about = "what a call from JavaScript costs over one from Rust";

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run(dataset, { quick, only }) {
  const { ready, commands } = prepareRuntimes(chooseEntries(only, ({ overhead }) => overhead));
  const rust = buildRust("rabitq");
  writeResults({
    command: "overhead",
    dataset,
    quick,
    entries: ready,
    measure: (entry) => measure(entry, dataset, commands.get(entry.id) ?? [], rust, quick),
    print,
    toMarkdown,
    toPlot: ({ dataset: data, entries, conditions }) =>
      barPlot({
        title: `${data.name}: one search of ${data.n.toLocaleString("en")} x ${data.dimensions}, k 10`,
        conditions,
        unit: "median microseconds (left is better)",
        bars: entries.flatMap((entry) =>
          entry.ways.map(({ what, p50Us }) => ({
            id: entry.id,
            title: `${entry.title}: ${what}`,
            value: p50Us,
          })),
        ),
      }),
  });
}

/**
 * @param {import("../lineup.mjs").Entry} entry
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {string[]} command
 * @param {string | undefined} rust
 * @param {boolean} quick
 * @returns {Figures}
 */
function measure(entry, dataset, command, rust, quick) {
  const { file } = builtIndex(entry, dataset, { command, quick });
  const points = entry.points.slice(0, 1);
  const request = requestFor(entry, dataset, { quick, step: "overhead", index: file, points });
  const results = /** @type {OverheadResult} */ ([
    ...(rust ? runStep([rust], request) : []),
    ...runStep(command, request),
  ]);
  const queries = request.queryCount;
  return {
    queries,
    ways: results.map(({ id, what, rounds }) => ({
      id,
      what,
      cpuUs: (median(rounds.map(({ cpu }) => cpu)) / queries) * 1e6,
      p50Us: median(rounds.map(({ p50 }) => p50)) * 1e6,
      p99Us: median(rounds.map(({ p99 }) => p99)) * 1e6,
    })),
  };
}

/** @param {Measured} figures */
function print({ title, ways }) {
  console.log(title);
  for (const { what, cpuUs, p50Us, p99Us } of ways) {
    console.log(
      `  ${what.padEnd(30)} CPU ${cpuUs.toFixed(1)} us, p50 ${p50Us.toFixed(1)} us, p99 ${p99Us.toFixed(1)} us`,
    );
  }
}
