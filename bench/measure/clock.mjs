import { readFileSync } from "node:fs";

/**
 * Wall and CPU seconds; CPU counts all threads of the process.
 *
 * @typedef {{ wall: number; cpu: number }} Spent
 */

/** Measures from its making on. */
export class Stopwatch {
  #cpu = process.cpuUsage();
  #wall = performance.now();

  /** @returns {Spent} */
  read() {
    const wall = (performance.now() - this.#wall) / 1000;
    const { user, system } = process.cpuUsage(this.#cpu);
    return { wall, cpu: (user + system) / 1e6 };
  }
}

/**
 * Runs `work` and says what it took.
 *
 * @template T
 * @param {() => T | Promise<T>} work
 * @returns {Promise<Spent & { result: T }>}
 */
export async function timed(work) {
  const watch = new Stopwatch();
  const result = await work();
  return { ...watch.read(), result };
}

/** The most memory this process ever had, in bytes. */
export function peakBytes() {
  return process.resourceUsage().maxRSS * 1024;
}

/** Memory this process has now, after garbage collection: all of it, and (on Linux) the part no file backs. */
export function residentBytes() {
  globalThis.gc?.();
  const all = process.memoryUsage.rss();
  if (process.platform !== "linux") return { all, own: Number.NaN };
  const [, kilobytes] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return { all, own: Number(kilobytes) * 1024 };
}
