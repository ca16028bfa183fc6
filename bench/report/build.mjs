import { heading, megabytes, nameOf, significant, table } from "./table.mjs";

/** @typedef {import("../commands/build.mjs").Results} Results */
/** @typedef {import("../commands/build.mjs").Measured} Measured */

/** @param {Results} results */
export function toMarkdown(results) {
  const { dataset, entries, name } = results;
  const raw = dataset.n * dataset.dimensions * 4;
  return `${heading(results, "Building and opening")}

The vectors alone are ${megabytes(raw)} MB. The peak is that of the whole process, the input matrix included; in brackets its multiple of the vectors.

![CPU seconds to build](${name}.svg)

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
    "bytes a vector",
    "load ms",
    "first query ms",
    "MB resident",
    "of them own",
  ],
  entries.map((entry) => row(entry, raw, dataset.n)),
)}
`;
}

/**
 * @param {Measured} entry
 * @param {number} raw bytes of the vectors
 * @param {number} n
 */
function row(entry, raw, n) {
  const { build, open } = entry;
  return [
    nameOf(entry),
    significant(build.build.cpu),
    significant(build.build.wall),
    build.runs,
    build.loopDelayMs === undefined ? "-" : significant(build.loopDelayMs),
    `${megabytes(build.peakBytes)} (${significant(build.peakBytes / raw)}x)`,
    significant(build.save.wall),
    megabytes(build.diskBytes),
    Math.round(build.diskBytes / n),
    significant(open.load.wall * 1000),
    significant(open.firstQuery.wall * 1000),
    megabytes(open.residentBytes),
    megabytes(open.privateBytes),
  ];
}
