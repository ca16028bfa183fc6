import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** How long the turns of the event loop took while something ran, in milliseconds. */
interface Turns {
  /** Including the timer's millisecond, that an idle loop has as well. */
  whole: number[];
  /** Without that, and without the time this thread was ready to run but had no CPU; Linux tells, others do not. */
  own: number[];
}

/** Observes the event loop from the start of `work` until it settles. */
async function observe(work: () => Promise<unknown>): Promise<Turns> {
  const turns: Turns = { whole: [], own: [] };
  let done = false;
  await sleep(20);
  const watching = (async () => {
    while (!done) {
      const before = { at: performance.now(), waited: waitedForCpu() };
      await sleep(1);
      const took = performance.now() - before.at;
      turns.whole.push(took);
      // Past the millisecond asked for and the timer's rounding to whole ones.
      turns.own.push(took - 2 - (waitedForCpu() - before.waited));
    }
  })();
  try {
    await work();
  } finally {
    done = true;
    await watching;
  }
  return turns;
}

/** Milliseconds this thread has been ready to run without running, see sched-stats.rst of the Linux kernel. */
function waitedForCpu(): number {
  if (process.platform !== "linux") return 0;
  const [, waited] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ");
  return Number(waited) / 1e6;
}

/** What a part of the turns stays within: the longest of 99 in 100 where `quantile` is .99. */
function longest(turns: number[], quantile: number): number {
  return turns.toSorted((a, b) => a - b)[Math.ceil(turns.length * quantile) - 1] ?? 0;
}

/**
 * What `work` adds to the delays of an idle process, in milliseconds: the least of some attempts beside the least of an
 * idle process. What stalls the loop does so every time, what others do on the machine does not. Where the idle process
 * has delays above `allowed` itself, only the part counts that is no waiting for a CPU.
 *
 * @param options - `quantile` of the turns that count: 1 is the longest one
 */
export async function addedDelay(
  work: () => Promise<unknown>,
  { allowed, attempts = 8, quantile = 1 }: { allowed: number; attempts?: number; quantile?: number },
): Promise<number> {
  const least = {
    busy: Number.POSITIVE_INFINITY,
    own: Number.POSITIVE_INFINITY,
    idle: Number.POSITIVE_INFINITY,
  };
  let added = Number.POSITIVE_INFINITY;
  for (let i = 0; i < attempts && added > allowed; i++) {
    const begun = performance.now();
    const busy = await observe(work);
    const spent = Math.min(performance.now() - begun, 2000);
    const idle = await observe(() => sleep(spent));
    least.busy = Math.min(least.busy, longest(busy.whole, quantile));
    least.own = Math.min(least.own, longest(busy.own, quantile));
    least.idle = Math.min(least.idle, longest(idle.whole, quantile));
    added = least.busy - least.idle;
    if (least.idle > allowed) added = Math.min(added, least.own);
  }
  return added;
}
