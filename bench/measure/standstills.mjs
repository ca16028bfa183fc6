// When the machine stood still: a virtual one that was put aside, or a container that had used up its share of the CPUs. A
// thread that only sleeps tells, which runs this file as well.
import { readFileSync } from "node:fs";
import { Worker, workerData } from "node:worker_threads";

/** Milliseconds of a clock that all threads share. */
export const monotonic = () => Number(process.hrtime.bigint()) / 1e6;

/** Milliseconds the calling thread has been ready to run but had no CPU, see sched-stats.rst of the Linux kernel. */
export function waitedForCpu() {
  if (process.platform !== "linux") return 0;
  const [, waited] = readFileSync("/proc/thread-self/schedstat", "utf8").split(" ");
  return Number(waited) / 1e6;
}

/** How many are remembered. */
const MOST = 10_000;

/** Standstills from its making on, until it is stopped. */
export class Standstills {
  /** How many there were, then the beginning and the end of each. */
  #told = new Float64Array(new SharedArrayBuffer(8 * (1 + 2 * MOST)));
  #stop = new Int32Array(new SharedArrayBuffer(4));

  constructor() {
    new Worker(new URL(import.meta.url), { workerData: { told: this.#told, stop: this.#stop } }).unref();
  }

  /** For how many of the milliseconds between two times the machine stood still. */
  between(/** @type {number} */ begun, /** @type {number} */ ended) {
    let sum = 0;
    for (let i = 0; i < (this.#told[0] ?? 0); i++) {
      const [from = 0, to = 0] = this.#told.subarray(1 + 2 * i);
      sum += Math.max(0, Math.min(to, ended) - Math.max(from, begun));
    }
    return sum;
  }

  stop() {
    Atomics.store(this.#stop, 0, 1);
  }
}

/** @param {{ told: Float64Array; stop: Int32Array }} shared */
function watch({ told, stop }) {
  while (Atomics.load(stop, 0) === 0) {
    const before = { at: monotonic(), waited: waitedForCpu() };
    Atomics.wait(stop, 0, 0, 1);
    const now = monotonic();
    // Waiting for a CPU that others have is something else.
    const lost = now - before.at - (waitedForCpu() - before.waited);
    const count = told[0] ?? 0;
    if (lost < 2 || count === MOST) continue;
    told.set([before.at, before.at + lost], 1 + 2 * count);
    told[0] = count + 1;
  }
}

if (workerData?.told) watch(workerData);
