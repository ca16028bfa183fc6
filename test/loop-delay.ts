import { setTimeout as sleep } from "node:timers/promises";
import { Standstills } from "../bench/measure/standstills.mjs";
import { type Turn, watchingTurns } from "../bench/measure/turns.mjs";

/** What a part of the turns stays within: the longest of 99 in 100 where `quantile` is .99. */
function longest(turns: number[], quantile: number): number {
  return turns.toSorted((a, b) => a - b)[Math.ceil(turns.length * quantile) - 1] ?? 0;
}

interface Limit {
  /** Milliseconds. */
  allowed: number;
  /** How often it may be tried. */
  attempts?: number;
  /** Of the turns that count, e.g. .99; 1 is the longest one. */
  quantile?: number;
  /** That other processes take part, which need the CPUs, too: waiting for one does not count. */
  crowded?: boolean;
}

/**
 * What `work` adds to the turns of an idle process, in milliseconds: the least of some attempts beside the least of an idle
 * process. What stalls the loop does so every time, what others do on the machine does not. Where the idle process has
 * turns above `allowed` itself, waiting for a CPU does not count.
 */
export async function addedDelay(
  work: () => Promise<unknown>,
  { allowed, attempts = 8, quantile = 1, crowded = false }: Limit,
): Promise<number> {
  const busy = new Least(quantile);
  const idle = new Least(quantile);
  const standstills = new Standstills();
  try {
    let added = Number.POSITIVE_INFINITY;
    for (let i = 0; i < attempts && added > allowed; i++) {
      const begun = performance.now();
      busy.note((await watchingTurns(work, standstills)).turns);
      const spent = Math.min(performance.now() - begun, 2000);
      idle.note((await watchingTurns(() => sleep(spent), standstills)).turns);
      added = busy.whole - idle.whole;
      if (crowded || idle.whole > allowed) added = Math.min(added, busy.own - idle.own);
    }
    return added;
  } finally {
    standstills.stop();
  }
}

/** The shortest of the longest turns of some attempts. */
class Least {
  whole = Number.POSITIVE_INFINITY;
  /** Without waiting for a CPU, where the system tells it. */
  own = Number.POSITIVE_INFINITY;

  constructor(readonly quantile: number) {}

  note(turns: Turn[]): void {
    const whole = turns.map(({ took }) => took);
    const own = turns.map(({ took, waited }) => took - waited);
    this.whole = Math.min(this.whole, longest(whole, this.quantile));
    this.own = Math.min(this.own, longest(own, this.quantile));
  }
}
