import { heading, megabytes, nameOf, settingsText, significant, table } from "./table.mjs";

/** @typedef {import("../commands/churn.mjs").Results} Results */
/** @typedef {import("../commands/churn.mjs").Measured} Measured */

/** What is measured, in its order. */
export const STAGES = /** @type {const} */ (["before", "after", "settled", "reopened", "fresh"]);

/** @param {Results} results */
export function toMarkdown(results) {
  const { entries, k } = results;
  const [run] = Object.values(entries[0]?.drift ?? {});
  return `${heading(results, "Replacing rows")}

An index of ${run?.size.toLocaleString("en")} rows, of which ${run?.replaced.toLocaleString("en")} are deleted and as many others added, in rounds. Drift \`none\`: rows come and go by lot. Drift \`full\`: the rows nearest to one of them go first and the farthest come last, so that the new rows lie where there were none. Recall@${k} and queries per CPU second: before, right after all rounds, once upkeep in the background has caught up (where the peer has it), after saving (with compaction, where the peer has it) and opening, and of an index built of the same rows anew.

![recall by stage](${results.name}.svg)

${table(
  ["index", "drift", "setting", "before", "after", "settled", "reopened", "built anew"],
  entries.flatMap((entry) =>
    Object.entries(entry.drift).flatMap(([drift, stages]) =>
      stages.before.map(({ settings }, at) => [
        nameOf(entry),
        drift,
        settingsText(settings),
        ...STAGES.map((stage) => {
          const point = stages[stage][at];
          return point ? `${point.recall.toFixed(4)} at ${Math.round(point.cpuQps)}` : "-";
        }),
      ]),
    ),
  ),
)}

## Changing

${table(
  [
    "index",
    "drift",
    "adds / CPU s",
    "adds / s",
    "deletes / s",
    "longest hold-up of the event loop ms",
    "upkeep s",
    "save s",
    "MB on disk",
    "built anew",
  ],
  entries.flatMap((entry) =>
    Object.entries(entry.drift).map(([drift, stages]) => changeRow(entry, drift, stages)),
  ),
)}
`;
}

/**
 * @param {Measured} entry
 * @param {string} drift
 * @param {Measured["drift"][string]} run
 */
function changeRow(
  entry,
  drift,
  { replaced, adding, deleting, settlingSeconds, saving, diskBytes, freshDiskBytes, loopDelayMs },
) {
  return [
    nameOf(entry),
    drift,
    Math.round(replaced / adding.cpu),
    Math.round(replaced / adding.wall),
    Math.round(replaced / deleting.wall),
    significant(loopDelayMs),
    settlingSeconds === undefined ? "-" : significant(settlingSeconds),
    significant(saving.wall),
    megabytes(diskBytes),
    megabytes(freshDiskBytes),
  ];
}
