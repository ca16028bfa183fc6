import { median } from "../measure/statistics.mjs";
import { heading, significant, table } from "./table.mjs";

/** @param {import("../commands/loop.mjs").Results} results */
export function toMarkdown(results) {
  const { phases } = results;
  return `${heading(results, "Hold-ups of the event loop")}

The longest delay that \`perf_hooks.monitorEventLoopDelay\` saw, in milliseconds, in each of ${phases[0]?.longestMs.length} rounds: an index is built of all rows, searched, saved and closed; a lake takes 200,000 records, 1,000 a call and made 100 a turn, and is verified, compacted, searched, and so on. Searches: 64 in flight for five seconds. Control: a Node.js without any store that only waits, or makes the same records at the same pace and drops them, while as many other processes as there are cores are busy at nice +10. What it sees is the doing of the machine, the kernel and V8's collector. Standstills: times in which another thread of the process, that does nothing but sleep for a millisecond at a time, did not go on either, though it was not waiting for a CPU that others had. A virtual machine stands still now and then, often one CPU at a time, which that thread sees only if it is its own.

${table(
  ["phase", "median s", "longest ms, by round", "median", "without standstills", "median"],
  phases.map(({ phase, seconds, longestMs, movingMs }) => [
    phase,
    significant(median(seconds)),
    ...[longestMs, movingMs].flatMap(ofRounds),
  ]),
)}
`;
}

/** @param {number[]} each */
const ofRounds = (each) => [each.map((ms) => ms.toFixed(1)).join(", "), median(each).toFixed(1)];
