import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between two looks at the event loop. */
const RESOLUTION = 1;

/**
 * Runs `work` and says for how long the event loop was held up at most, in milliseconds.
 *
 * @template T
 * @param {() => T | Promise<T>} work
 * @returns {Promise<{ result: T; longestMs: number }>}
 */
export async function watchingLoop(work) {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION });
  monitor.enable();
  // The first look after a reset only starts the clock, and a delay is seen by the look that ends it.
  await sleep(10);
  monitor.reset();
  await sleep(5);
  const result = await work();
  await sleep(10);
  monitor.disable();
  return { result, longestMs: Math.max(0, monitor.max / 1e6 - RESOLUTION) };
}
