import { nameOf, table } from "../report/table.mjs";

/** @typedef {import("./compare.mjs").Results} Results */
/** @typedef {import("./compare.mjs").Measured} Measured */
/** @typedef {import("./request.mjs").Spent} Spent */

/** @type {(spent: (Spent & { records: number }) | undefined) => string} */
const rate = (spent) => (spent === undefined ? "-" : count(spent.records / spent.wall));
/** @type {(n: number) => string} */
const count = (n) => (n >= 100 ? Math.round(n).toLocaleString("en") : n.toPrecision(2));
/** @type {(seconds: number) => string} */
const ms = (seconds) =>
  seconds * 1000 >= 10 ? count(Math.round(seconds * 1000)) : (seconds * 1000).toFixed(2);
/** @type {(searched: import("./request.mjs").Searched) => string} */
const perSecond = ({ queries, cpu, recall }) => `${count(queries / cpu)} (${recall.toFixed(3)})`;

/** @type {{ title: string; of(measured: Measured, rows: number): string }[]} */
const lines = [
  { title: "syncs an upsert", of: ({ syncsPerUpsert }) => syncsPerUpsert?.toFixed(1) ?? "?" },
  { title: "upserts/s, one a call", of: ({ write }) => rate(write.singles) },
  { title: "64 under way", of: ({ write }) => rate(write.concurrent) },
  { title: "1,000 a call", of: ({ write }) => rate(write.batches) },
  { title: "index, compact: CPU s", of: ({ write }) => write.settle.cpu.toFixed(1) },
  { title: "event loop held up, ms", of: ({ write }) => count(write.loopDelayMs) },
  { title: "bytes a row", of: ({ write }, rows) => count(write.diskBytes / rows) },
  { title: "open, ms", of: ({ read }) => ms(read.open.wall) },
  { title: "first query, ms", of: ({ read }) => ms(read.firstQuery.wall) },
  { title: "queries per CPU second (recall@10)", of: ({ read }) => perSecond(read.search) },
  { title: "p50 / p99, ms", of: ({ read }) => `${ms(read.search.p50)} / ${ms(read.search.p99)}` },
  { title: "filter of 1 %", of: ({ read }) => perSecond(read.one) },
  { title: "of 10 %", of: ({ read }) => perSecond(read.ten) },
  { title: "deletes/s, 1,000 a call", of: ({ read }) => rate(read.remove) },
  { title: "queries after that", of: ({ read }) => perSecond(read.searchAfter) },
];

/**
 * A table with a column for each store.
 *
 * @param {Measured[]} entries
 * @param {number} rows of the data
 */
function tableOf(entries, rows) {
  const body = lines.map(({ title, of }) => [title, ...entries.map((entry) => of(entry, rows))]);
  return table(["", ...entries.map(nameOf)], body);
}

/**
 * What the README of the project says of collections: ours as it comes, and the others.
 *
 * @param {Results} results
 */
export function toSummary({ dataset, conditions, entries }) {
  const { name, rows, dimensions } = dataset;
  const shown = entries.filter(({ id }) => id !== "rulake-ids" && id !== "bare-index");
  return `Collections beside other stores in the process: \`npm run bench -- lake\`, ${conditions.date.slice(0, 10)}, the same machine;
${rows.toLocaleString("en")} records of ${dimensions} numbers, a text and two fields ([report](bench/results/lake-${name}.md)). Our bytes
on disk are those of two generations, for reads of the past; \`retain: { generations: 1 }\` keeps one. A store without
syncs may lose acknowledged records when the power fails.

${tableOf(shown, rows)}`;
}

/**
 * The whole report.
 *
 * @param {Results} results
 */
export function toMarkdown({ dataset, conditions, entries }) {
  const { name, rows, dimensions } = dataset;
  const [rulake, bare] = ["rulake-ids", "bare-index"].map(
    (id) => entries.find((entry) => entry.id === id)?.read.search,
  );
  const overhead =
    rulake === undefined || bare === undefined
      ? ""
      : `\nA search through the collection takes ${(rulake.cpu / rulake.queries / (bare.cpu / bare.queries)).toFixed(2)} times the CPU ` +
        "time of one in its index alone, where both return ids.\n";
  return `# Lakes: ${name}, ${rows.toLocaleString("en")} x ${dimensions}

\`npm run bench -- lake\`, ${conditions.date.slice(0, 10)}, ${conditions.cores} cores of ${conditions.cpu},
Node.js ${conditions.node.slice(1)}, ${conditions.system}, commit ${conditions.commit}${conditions.modified ? " with changes" : ""}.
Load average when each began: ${entries.map(({ title, loadAverage = Number.NaN }) => `${title} ${loadAverage.toFixed(1)}`).join(", ")}.

${tableOf(entries, rows)}
${overhead}`;
}
