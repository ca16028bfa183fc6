import { setTimeout as sleep } from "node:timers/promises";
import { monotonic, waitedForCpu } from "./standstills.mjs";

/**
 * A turn of the event loop, in milliseconds.
 *
 * @typedef {object} Turn
 * @property {number} took without standstills of the machine; an idle loop's is one millisecond, the timer's
 * @property {number} waited for how much of it this thread was ready to run but had no CPU; 0 where that is not told
 */

/**
 * The turns of the event loop from the start of `work` until it settles.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @param {import("./standstills.mjs").Standstills} standstills
 * @returns {Promise<{ result: T; turns: Turn[] }>}
 */
export async function watchingTurns(work, standstills) {
  /** @type {{ begun: number; ended: number; waited: number }[]} */
  const seen = [];
  let done = false;
  await sleep(20);
  const watching = (async () => {
    while (!done) {
      const begun = monotonic();
      const waited = waitedForCpu();
      await sleep(1);
      seen.push({ begun, ended: monotonic(), waited: waitedForCpu() - waited });
    }
  })();
  let result;
  try {
    result = await work();
  } finally {
    done = true;
    await watching;
  }
  // Until the last standstill has been told.
  await sleep(10);
  const turns = seen.map(({ begun, ended, waited }) => ({
    took: ended - begun - standstills.between(begun, ended),
    waited,
  }));
  return { result, turns };
}
