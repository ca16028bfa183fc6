import { hasDefault } from "../lineup.mjs";
import { fastestAt } from "../measure/statistics.mjs";
import { heading, nameOf, significant, table } from "./table.mjs";

/** @typedef {import("../commands/recall-qps.mjs").Results} Results */
/** @typedef {import("../commands/recall-qps.mjs").Measured} Measured */
/** @typedef {import("../measure/statistics.mjs").Point} Point */

/** Recalls at which curves are compared. */
const TARGETS = [0.95, 0.99, 0.999];

/** What the ratios refer to. */
const REFERENCE = "ivf";

/** @param {Results} results */
export function toMarkdown(results) {
  const { dataset, entries, k } = results;
  return `${heading(results, "Indexes")}

Cosine, recall@${k} against exact truth, ${dataset.queries} queries that are not in the base.

![recall and queries per CPU second](${results.name}.svg)

## At equal recall

Queries per CPU second of the fastest measured point that reaches the recall, one thread, one query a call; in brackets how many times as many RabitqIvfIndex answers, and how much less it computes to build.

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

## Recall that was asked for

${table(
  ["index", "recallTarget", "k", "recall@k", "CPU ms"],
  entries.flatMap((entry) => (entry.promises ?? []).map((promised) => promiseRow(entry, promised))),
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
    const ratio = other ? ` (${significant(other.cpuQps / best.cpuQps)}x)` : "";
    return `${Math.round(best.cpuQps)}${ratio}`;
  });
  return [
    nameOf(entry),
    plain && hasDefault(entry.id) ? `${Math.round(plain.cpuQps)} at ${plain.recall.toFixed(4)}` : "-",
    ...cells,
    `${significant(entry.build.build.cpu)}${reference ? ` (${significant(entry.build.build.cpu / reference.build.build.cpu)}x)` : ""}`,
    Math.round(entry.build.diskBytes / dataset.n),
  ];
}

/**
 * @param {Measured} entry
 * @param {NonNullable<Measured["promises"]>[number]} promised
 */
function promiseRow(entry, { recallTarget, k, recall, cpuMs }) {
  return [nameOf(entry), recallTarget, k, recall.toFixed(4), significant(cpuMs)];
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
