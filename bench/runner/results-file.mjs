import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { lineup } from "../lineup.mjs";
import { describeConditions } from "../machine.mjs";
import { K } from "./request-for.mjs";
import { versionOf } from "./version.mjs";

/** @typedef {import("../datasets/dataset.mjs").Dataset} Dataset */
/** @typedef {import("../lineup.mjs").Entry} Entry */

/**
 * @typedef {object} About of what was measured of an entry
 * @property {string} id
 * @property {string} title
 * @property {string} [version]
 * @property {import("../measure/request.mjs").Settings} settings
 * @property {string} date when it began
 * @property {number} loadAverage of the machine then
 */

/**
 * @template Figures
 * @typedef {object} Results `conditions` are those of the last run; with `--only`, other entries are older
 * @property {string} name of the files
 * @property {Omit<Dataset, "folder">} dataset
 * @property {number} k
 * @property {boolean} quick
 * @property {ReturnType<typeof describeConditions>} conditions
 * @property {(About & Figures)[]} entries
 */

const quickFolder = fileURLToPath(new URL("../.cache/quick/", import.meta.url));
export const resultsFolder = fileURLToPath(new URL("../results/", import.meta.url));

/**
 * Measures the entries one after the other and writes the results after each, so that a run that is stopped leaves what
 * it measured. Entries that are not measured now keep their figures of the last run.
 *
 * @template Figures
 * @param {object} work
 * @param {string} work.command
 * @param {Dataset} work.dataset
 * @param {boolean} work.quick a quick run is no result and goes elsewhere
 * @param {Entry[]} work.entries
 * @param {(entry: Entry) => Figures} work.measure
 * @param {(figures: About & Figures) => void} work.print
 * @param {(results: Results<Figures>) => string} work.toMarkdown
 * @param {(results: Results<Figures>) => string} work.toPlot
 */
export function writeResults({ command, dataset, quick, entries, measure, print, toMarkdown, toPlot }) {
  const { folder, ...about } = dataset;
  const name = `${command}-${path.basename(folder)}`;
  const place = quick ? quickFolder : resultsFolder;
  mkdirSync(place, { recursive: true });
  const file = path.join(place, name);
  /** @type {(About & Figures)[]} */
  const earlier = existsSync(`${file}.json`) ? JSON.parse(readFileSync(`${file}.json`, "utf8")).entries : [];
  const measured = new Map(earlier.map((entry) => [entry.id, entry]));
  const conditions = describeConditions();
  console.log(`\n${name}: ${about.n.toLocaleString("en")} x ${about.dimensions}, ${about.source}`);
  for (const entry of entries) {
    const begun = { date: new Date().toISOString(), loadAverage: loadavg()[0] ?? 0 };
    try {
      const { id, title, settings } = entry;
      const version = versionOf(entry);
      const figures = { id, title, ...(version ? { version } : {}), settings, ...begun, ...measure(entry) };
      measured.set(id, figures);
      print(figures);
    } catch (error) {
      console.error(`${entry.title}: left out, ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
      continue;
    }
    const all = lineup.flatMap(({ id }) => measured.get(id) ?? []);
    const whole = { name, dataset: about, k: K, quick, conditions, entries: all };
    writeFileSync(`${file}.json`, `${JSON.stringify(whole, null, 1)}\n`);
    writeFileSync(`${file}.md`, toMarkdown(whole));
    writeFileSync(`${file}.svg`, toPlot(whole));
  }
}
