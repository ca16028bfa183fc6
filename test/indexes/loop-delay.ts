import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

/** Delays of the event loop while something runs, in milliseconds. */
interface LoopDelay {
  /** The longest one. */
  longest: number;
  /** The longest one, without the time this thread was ready to run but had no CPU. Linux only, elsewhere the same. */
  own: number;
}

/** Observes the event loop from the start of `work` until it settles. */
async function observe(work: () => Promise<unknown>): Promise<LoopDelay> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await sleep(20);
  histogram.reset();
  let done = false;
  let own = 0;
  const watching = (async () => {
    while (!done) {
      const before = { at: performance.now(), waited: waitedForCpu() };
      await sleep(1);
      const waited = waitedForCpu() - before.waited;
      // Past the millisecond asked for and the timer's rounding to whole ones.
      own = Math.max(own, performance.now() - before.at - waited - 2);
    }
  })();
  try {
    await work();
  } finally {
    done = true;
    await watching;
    histogram.disable();
  }
  return { longest: histogram.max / 1e6, own };
}

/** Milliseconds this thread has been ready to run without running, see sched-stats.rst of the Linux kernel. */
function waitedForCpu(): number {
  if (process.platform !== "linux") return 0;
  const [, waited] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ");
  return Number(waited) / 1e6;
}

/**
 * The least that `work` adds to the longest delay of an idle process, over some attempts: what stalls the loop does so
 * every time, what others do on the machine does not. Where the idle process has delays above `allowed` itself, only
 * the part counts that is no waiting for a CPU.
 */
export async function addedDelay(
  work: () => Promise<unknown>,
  { allowed, attempts = 8 }: { allowed: number; attempts?: number },
): Promise<number> {
  let added = Number.POSITIVE_INFINITY;
  for (let i = 0; i < attempts && added > allowed; i++) {
    const begun = performance.now();
    const busy = await observe(work);
    const spent = Math.min(performance.now() - begun, 2000);
    const idle = await observe(() => sleep(spent));
    added = Math.min(added, busy.longest - idle.longest);
    if (idle.longest > allowed) added = Math.min(added, busy.own);
  }
  return added;
}
