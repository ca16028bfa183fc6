import { fastestAt } from "./statistics.mjs";

/** @typedef {import("./benchmark.mjs").Results} Results */
/** @typedef {import("./benchmark.mjs").Measured} Measured */
/** @typedef {import("./statistics.mjs").Point} Point */

/** Recalls at which curves are compared. */
const TARGETS = [0.95, 0.99, 0.999];

/** What the ratios refer to. */
const REFERENCE = "hnswlib";

/** @param {Results} results */
export function toMarkdown(results) {
  const { dataset, conditions, entries, k } = results;
  return `# Indexes on ${dataset.name}: ${dataset.n.toLocaleString("en")} x ${dataset.dimensions}

${dataset.source}. Cosine, recall@${k} against exact truth, ${dataset.queries} queries that are not in the base.
${conditions.cpu}, ${conditions.cores} cores, ${conditions.memoryGiB} GiB, ${conditions.system}, Node.js ${conditions.node}, ${conditions.date.slice(0, 16)}Z, commit ${conditions.commit}${conditions.modified ? " with changes" : ""}, engine ${conditions.engine}, load average ${loads(entries)} (of the whole machine; on an idle one it is near 1).${older(results)}

![recall and queries per CPU second](${results.name}.svg)

## At equal recall

Queries per CPU second of the fastest measured point that reaches the recall, one thread, one query a call; in brackets the ratio to ${REFERENCE}.

${table(
  [
    "index",
    "without options",
    ...TARGETS.map((target) => `recall >= ${target}`),
    "build CPU s",
    "bytes a vector on disk",
  ],
  entries.map((entry) => equalRecall(entry, results)),
)}

## Curves

${table(
  [
    "index",
    "setting",
    `recall@${k}`,
    "queries / CPU s",
    "CPU ms",
    "queries / s",
    "p50 ms",
    "p99 ms",
    "batch queries / s",
    "batch CPU ms",
  ],
  entries.flatMap((entry) => entry.points.map((point) => pointRow(entry, point))),
)}

## Building and opening

${table(
  [
    "index",
    "build CPU s",
    "build s",
    "builds",
    "longest hold-up of the event loop ms",
    "peak MB while building",
    "save s",
    "MB on disk",
    "load ms",
    "first query ms",
    "MB resident",
    "of them own",
  ],
  entries.map(buildRow),
)}

## Asynchronous searches

${table(
  [
    "index",
    "in flight",
    "queries / s",
    "CPU ms",
    "p50 ms",
    "p99 ms",
    "longest hold-up of the event loop ms",
    "the same when idle ms",
  ],
  entries.flatMap(asyncRow),
)}
`;
}

/** @param {Measured[]} entries */
function loads(entries) {
  const all = entries.map(({ loadAverage }) => loadAverage);
  return `${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)}`;
}

/** @param {Results} results */
function older({ entries, conditions }) {
  const names = entries.filter(({ date }) => date < conditions.date).map(({ title }) => title);
  return names.length > 0 ? `\nFrom an earlier run: ${names.join("; ")}.` : "";
}

/**
 * @param {Measured} entry
 * @param {Results} results
 */
function equalRecall(entry, { entries, dataset }) {
  const reference = entries.find(({ id }) => id === REFERENCE);
  const [plain] = entry.points;
  const cells = TARGETS.map((target) => {
    const best = fastestAt(entry.points, target);
    if (best === undefined) return "-";
    const other = reference && fastestAt(reference.points, target);
    const ratio = other ? ` (${significant(best.cpuQps / other.cpuQps)}x)` : "";
    return `${Math.round(best.cpuQps)}${ratio}`;
  });
  return [
    nameOf(entry),
    plain ? `${Math.round(plain.cpuQps)} at ${plain.recall.toFixed(4)}` : "-",
    ...cells,
    significant(entry.build.build.cpu),
    Math.round(entry.build.diskBytes / dataset.n),
  ];
}

/**
 * @param {Measured} entry
 * @param {Point} point
 */
function pointRow(entry, point) {
  const how = Object.entries(point.settings).map(([name, value]) => `${name} ${value}`);
  return [
    nameOf(entry),
    how.join(", ") || "-",
    point.recall.toFixed(4),
    Math.round(point.cpuQps),
    significant(point.cpuMs),
    Math.round(point.qps),
    significant(point.p50Ms),
    significant(point.p99Ms),
    point.batchQps === undefined ? "-" : Math.round(point.batchQps),
    point.batchCpuMs === undefined ? "-" : significant(point.batchCpuMs),
  ];
}

/** @param {Measured} entry */
function buildRow(entry) {
  const { build, open } = entry;
  return [
    nameOf(entry),
    significant(build.build.cpu),
    significant(build.build.wall),
    build.runs,
    build.loopDelayMs === undefined ? "-" : significant(build.loopDelayMs),
    megabytes(build.peakBytes),
    significant(build.save.wall),
    megabytes(build.diskBytes),
    significant(open.load.wall * 1000),
    significant(open.firstQuery.wall * 1000),
    megabytes(open.residentBytes),
    megabytes(open.privateBytes),
  ];
}

/** @param {Measured} entry */
function asyncRow(entry) {
  const { concurrent } = entry.open;
  if (concurrent === undefined) return [];
  const { round, inFlight, loopDelayMs, idleLoopDelayMs } = concurrent;
  return [
    [
      nameOf(entry),
      inFlight,
      Math.round(entry.queries / round.wall),
      significant((round.cpu / entry.queries) * 1000),
      significant(round.p50 * 1000),
      significant(round.p99 * 1000),
      significant(loopDelayMs),
      significant(idleLoopDelayMs),
    ],
  ];
}

/** @param {Measured} entry */
function nameOf({ title, version }) {
  return version ? `${title} ${version}` : title;
}

/**
 * @param {string[]} head the first column holds names, the others figures
 * @param {(string | number)[][]} rows
 */
function table(head, rows) {
  const lines = [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** @param {number} bytes */
function megabytes(bytes) {
  return Number.isFinite(bytes) ? (bytes / 1e6).toFixed(1) : "-";
}

/** Three significant digits, without exponent. @param {number} value */
function significant(value) {
  if (!Number.isFinite(value)) return "-";
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
