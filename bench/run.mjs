#!/usr/bin/env node
// npm run bench -- <name> [options]: one command runs one comparison. See README.md.
import { parseArgs } from "node:util";
import { withLock } from "../scripts/lock.mjs";
import { datasetNames, openDataset } from "./datasets/dataset.mjs";
import { buildPackage, installPeers } from "./install.mjs";

/**
 * @typedef {object} Options
 * @property {string[]} datasets
 * @property {number | undefined} n
 * @property {boolean} quick
 * @property {string[]} only
 */

/** @type {Record<string, { about: string; run(options: Options): Promise<void> }>} */
const benchmarks = {
  indexes: {
    about: "recall and speed of the index classes beside hnswlib, usearch and the upstream crate",
    run: async (options) => (await import("./indexes/benchmark.mjs")).compareIndexes(options),
  },
  datasets: {
    about: "only make the data sets",
    run: async ({ datasets, n }) => {
      for (const name of datasets) {
        const { folder: _, ...about } = await openDataset(name, { n });
        console.log(about);
      }
    },
  },
};

const usage = `npm run bench -- <name> [options]
${Object.entries(benchmarks)
  .map(([name, { about }]) => `  ${name.padEnd(12)}${about}`)
  .join("\n")}
options
  --dataset   ${datasetNames.join(" or ")}; default: each
  --n         only so many base vectors
  --quick     20,000 vectors, 200 queries, few points: to see that it works
  --only      comma-separated ids of the lineup; the others keep their figures of the last run
  --no-build  measure the package as it is built now`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dataset: { type: "string" },
    n: { type: "string" },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    "no-build": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const benchmark = benchmarks[positionals[0] ?? ""];
const n = values.n === undefined ? undefined : Number(values.n);
const wrong = n !== undefined && !(Number.isInteger(n) && n >= 1000);

if (values.help || benchmark === undefined || positionals.length > 1 || wrong) {
  console.log(wrong ? `--n takes a whole number from 1000\n\n${usage}` : usage);
  process.exitCode = values.help ? 0 : 1;
} else {
  const datasets = values.dataset === undefined ? datasetNames : [values.dataset];
  const only = values.only.split(",").filter((id) => id !== "");
  const work = async () => {
    installPeers();
    if (!values["no-build"]) buildPackage();
    await benchmark.run({ datasets, n, quick: values.quick, only });
  };
  // Two at a time would measure each other.
  await withLock("bench", work, () => console.log("Waiting for another benchmark of this checkout"));
}
