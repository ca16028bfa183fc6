import { closeSync, openSync, readSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { OnnxEmbedder } from "rulake/embeddings";
import { expect, it } from "vitest";
import { passages } from "./passages.js";

const LIMIT_MS = 5;

/** The longest delay of a 1 ms timer while `work` runs. */
async function longestDelay(work: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  return histogram.max / 1e6;
}

/** The most CPU time the main thread took in one turn: what a delay would be if no other process wanted the cores. */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  const file = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const buffer = Buffer.alloc(64);
  const spent = () =>
    Number.parseInt(buffer.toString("latin1", 0, readSync(file, buffer, 0, 64, 0)), 10) / 1e6;
  let longest = 0;
  let last = spent();
  const timer = setInterval(() => {
    const now = spent();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  await work();
  clearInterval(timer);
  closeSync(file);
  return longest;
}

/** The best of a few attempts: what a crowded machine adds comes and goes, what the code does stays. */
async function bestTurn(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 4 && best >= LIMIT_MS; attempt++)
    best = Math.min(best, await longestTurn(work));
  return best;
}

const idle = () => new Promise((resolve) => setTimeout(resolve, 500));

it("embeds 500 texts, loading included, without holding up the event loop", async () => {
  const texts = passages(500, [5, 20, 60]);
  const attempts: string[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const resting = await longestDelay(idle);
    const embedder = new OnnxEmbedder({ workers: 2 });
    const busy = await longestDelay(() => embedder.embedBatch(texts));
    await embedder.close();
    attempts.push(`${busy.toFixed(1)} ms against ${resting.toFixed(1)} ms at rest`);
    if (busy <= resting + LIMIT_MS) return;
  }
  // On a crowded machine a thread waits for a core whatever it does: then its own turns must be short.
  expect(process.platform, attempts.join("; ")).toBe("linux");
  const turn = await bestTurn(async () => {
    const embedder = new OnnxEmbedder({ workers: 2 });
    await embedder.embedBatch(texts);
    await embedder.close();
  });
  expect(turn, attempts.join("; ")).toBeLessThan(LIMIT_MS);
});

it.runIf(process.platform === "linux")(
  "keeps every turn short for a text of megabytes and for many texts",
  async () => {
    const embedder = new OnnxEmbedder({ workers: 2 });
    await embedder.ready();
    const huge = passages(1, 1_000_000)[0] as string;
    expect(huge.length).toBeGreaterThan(5_000_000);
    expect(await bestTurn(() => embedder.embed(huge))).toBeLessThan(LIMIT_MS);
    const texts = passages(200_000, 2);
    const run = () => {
      const signal = AbortSignal.timeout(1000);
      return embedder.embedBatch(texts, { signal }).catch(() => undefined);
    };
    expect(await bestTurn(run)).toBeLessThan(LIMIT_MS);
    await embedder.close();
  },
);
