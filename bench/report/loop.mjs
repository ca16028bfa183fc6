import { median } from "../measure/statistics.mjs";
import { heading, significant, table } from "./table.mjs";

/** @param {import("../commands/loop.mjs").Results} results */
export function toMarkdown(results) {
  const { phases } = results;
  return `${heading(results, "Hold-ups of the event loop")}

The longest delay that \`perf_hooks.monitorEventLoopDelay\` saw, in milliseconds, in each of ${phases[0]?.longestMs.length} rounds: an index is built of all rows, saved and closed; a lake takes 200,000 records, 1,000 a call and made 100 a turn, and is verified, compacted, and so on. Control: a Node.js without any store that only waits, or makes the same records at the same pace and drops them, while as many other processes as there are cores are busy at nice +10. What it sees is the doing of the machine (a virtual one stands still now and then), the kernel and V8's collector.

${table(
  ["phase", "median s", "longest ms, by round", "median"],
  phases.map(({ phase, seconds, longestMs }) => [
    phase,
    significant(median(seconds)),
    longestMs.map((ms) => ms.toFixed(1)).join(", "),
    median(longestMs).toFixed(1),
  ]),
)}
`;
}
