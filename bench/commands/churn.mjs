import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { drifts, openChurnPlan } from "../datasets/churn-plan.mjs";
import { chooseEntries } from "../lineup.mjs";
import { toPoint } from "../measure/statistics.mjs";
import { STAGES, toMarkdown } from "../report/churn.mjs";
import { churnPlot } from "../report/churn-plot.mjs";
import { requestFor } from "../runner/request-for.mjs";
import { writeResults } from "../runner/results-file.mjs";
import { prepareRuntimes, runStep } from "../runner/runtimes.mjs";

/** @typedef {import("../measure/statistics.mjs").Point} Point */
/** @typedef {import("../measure/request.mjs").ChurnPlan} ChurnPlan */
/** @typedef {import("../measure/request.mjs").ChurnResult} ChurnResult */

/** @typedef {typeof STAGES[number]} Stage */

/**
 * @typedef {Omit<ChurnResult, Stage> & Record<Stage, Point[]> & { replaced: number; size: number }} Run
 */

/** @typedef {{ queries: number; drift: Record<string, Run> }} Figures */
/** @typedef {import("../runner/results-file.mjs").Results<Figures>} Results */
/** @typedef {import("../runner/results-file.mjs").About & Figures} Measured */

export const about = "recall and speed after half of the rows were replaced, beside an index built anew";

const QUERIES = 500;
const cache = fileURLToPath(new URL("../.cache/run/", import.meta.url));

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run(dataset, { quick, only }) {
  const { ready, commands } = prepareRuntimes(chooseEntries(only, ({ churn }) => churn !== undefined));
  /** @type {Record<string, ChurnPlan>} */
  const plans = {};
  for (const drift of drifts) plans[drift] = await openChurnPlan(dataset, drift, QUERIES);
  writeResults({
    command: "churn",
    dataset,
    quick,
    entries: ready,
    measure: (entry) => measure(entry, dataset, plans, commands.get(entry.id) ?? [], quick),
    print,
    toMarkdown,
    toPlot: churnPlot,
  });
}

/**
 * @param {import("../lineup.mjs").Entry} entry
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {Record<string, ChurnPlan>} plans
 * @param {string[]} command
 * @param {boolean} quick
 * @returns {Figures}
 */
function measure(entry, dataset, plans, command, quick) {
  const points = entry.churn ?? [];
  const index = path.join(cache, `${entry.id}.churn`);
  const options = { quick, step: /** @type {const} */ ("churn"), index, points, queries: QUERIES };
  const request = { ...requestFor(entry, dataset, options), seconds: quick ? 1 : 5 };
  const { queryCount } = request;
  const named = (/** @type {ChurnResult[Stage]} */ results = []) =>
    results.map((result, at) => toPoint(points[at] ?? {}, result, queryCount));
  mkdirSync(cache, { recursive: true });
  /** @type {Record<string, Run>} */
  const drift = {};
  for (const [name, churn] of Object.entries(plans)) {
    try {
      const result = /** @type {ChurnResult} */ (runStep(command, { ...request, churn }));
      drift[name] = {
        ...result,
        before: named(result.before),
        after: named(result.after),
        settled: named(result.settled),
        reopened: named(result.reopened),
        fresh: named(result.fresh),
        replaced: churn.replaced * churn.rounds,
        size: churn.size,
      };
    } finally {
      for (const file of [index, `${index}.fresh`]) rmSync(file, { recursive: true, force: true });
    }
  }
  return { queries: queryCount, drift };
}

/** @param {Measured} figures */
function print({ title, drift }) {
  console.log(title);
  for (const [name, run] of Object.entries(drift)) {
    const recalls = STAGES.filter((stage) => run[stage].length > 0).map(
      (stage) =>
        `${stage} ${run[stage].map(({ recall, cpuQps }) => `${recall.toFixed(3)} at ${cpuQps.toFixed(0)}`).join(" | ")}`,
    );
    console.log(
      `  drift ${name}: ${recalls.join("; ")}; ${(run.replaced / run.adding.cpu).toFixed(0)} adds a CPU second`,
    );
  }
}
