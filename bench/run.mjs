#!/usr/bin/env node
// npm run bench -- <name> [options]: one command runs one comparison. See README.md.
import { parseArgs } from "node:util";
import { withLock } from "../scripts/lock.mjs";
import * as a2a from "./commands/a2a.mjs";
import * as build from "./commands/build.mjs";
import * as churn from "./commands/churn.mjs";
import * as filtered from "./commands/filtered.mjs";
import * as loop from "./commands/loop.mjs";
import * as overhead from "./commands/overhead.mjs";
import * as recallQps from "./commands/recall-qps.mjs";
import { writeSummary } from "./commands/summary.mjs";
import { datasetNames, openDataset } from "./datasets/dataset.mjs";
import { buildPackage, copyPackage, installPeers } from "./install.mjs";
import * as lake from "./lake/compare.mjs";

/** @typedef {import("./datasets/dataset.mjs").Dataset} Dataset */

/**
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {string[]} only
 */

/**
 * @typedef {object} Command
 * @property {string} about
 * @property {boolean} [standalone] it needs no data set, and runs once
 * @property {(dataset: Dataset, options: Options) => Promise<void>} run
 */

/** @type {Record<string, Command>} */
const commands = {
  "recall-qps": recallQps,
  build,
  filtered,
  churn,
  overhead,
  loop,
  lake,
  a2a,
  datasets: {
    about: "only make the data sets",
    async run({ folder: _, ...about }) {
      console.log(about);
    },
  },
};

const QUICK_ROWS = 20_000;

const usage = `npm run bench -- <name> [<name> ...] [options]
${Object.entries(commands)
  .map(([name, { about }]) => `  ${name.padEnd(12)}${about}`)
  .join("\n")}
  summary     only write the table of the README from the results
options
  --dataset   one or more of ${datasetNames.join(",")}; default: each
  --n         only so many base vectors
  --full      all base vectors, also of docs, of which 100,000 are taken otherwise
  --quick     ${QUICK_ROWS.toLocaleString("en")} vectors, 200 queries, few points: to see that it works
  --only      comma-separated ids of the lineup; the others keep their figures of the last run
  --no-build  measure the package as it is built now`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dataset: { type: "string", default: datasetNames.join(",") },
    n: { type: "string" },
    full: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    "no-build": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** @param {string} text */
function list(text) {
  return text.split(",").filter((part) => part !== "");
}

/** Rows of the base, or `undefined` for as many as are usual. */
function wantedRows() {
  if (values.n !== undefined) return Number(values.n);
  if (values.full) return Number.POSITIVE_INFINITY;
  return values.quick ? QUICK_ROWS : undefined;
}

/** What is wrong with the arguments. */
function complaint() {
  if (positionals.length === 0) return "name a comparison";
  const unknown = positionals.find((name) => name !== "summary" && commands[name] === undefined);
  if (unknown !== undefined) return `there is no '${unknown}'`;
  const strange = list(values.dataset).find((name) => !datasetNames.includes(name));
  if (strange !== undefined) return `there is no data set '${strange}'`;
  const n = wantedRows();
  if (n !== undefined && !(n >= 1000 && (Number.isInteger(n) || values.full)))
    return "--n takes a whole number from 1000";
  return undefined;
}

async function work() {
  const chosen = positionals.flatMap((name) => commands[name] ?? []);
  if (chosen.length > 0) {
    installPeers();
    if (!values["no-build"]) buildPackage();
    copyPackage();
  }
  const options = { quick: values.quick, only: list(values.only) };
  const none = /** @type {Dataset} */ ({});
  for (const command of chosen.filter(({ standalone }) => standalone)) await command.run(none, options);
  const overData = chosen.filter(({ standalone }) => !standalone);
  for (const name of overData.length > 0 ? list(values.dataset) : []) {
    const dataset = await openDataset(name, { n: wantedRows() });
    for (const command of overData) await command.run(dataset, options);
  }
  if (!values.quick) writeSummary();
}

const wrong = complaint();
if (values.help || wrong !== undefined) {
  console.log(values.help ? usage : `${wrong}\n\n${usage}`);
  process.exitCode = values.help ? 0 : 1;
} else {
  // Two at a time would measure each other.
  await withLock("bench", work, () => console.log("Waiting for another benchmark of this checkout"));
}
