import { OnnxEmbedder } from "rulake/embeddings";
import { afterAll, beforeAll, expect, it } from "vitest";
import { failure, passages } from "./passages.js";

const embedder = new OnnxEmbedder({ workers: 2 });
beforeAll(() => embedder.ready());
afterAll(() => embedder.close());

it("reports progress up to the total", async () => {
  const seen: { done: number; total: number }[] = [];
  await embedder.embedBatch(passages(200, 10), { onProgress: (progress) => seen.push(progress) });
  expect(seen.length).toBeGreaterThan(5);
  expect(seen.every(({ done, total }, at) => total === 200 && done > (seen[at - 1]?.done ?? 0))).toBe(true);
  expect(seen.at(-1)).toEqual({ done: 200, total: 200 });
});

it("ends with what a progress callback throws", async () => {
  const error = await failure(() =>
    embedder.embedBatch(passages(200, 10), {
      onProgress: () => {
        throw new RangeError("enough");
      },
    }),
  );
  expect(error).toBeInstanceOf(RangeError);
  expect(await embedder.embed("still working")).toHaveLength(384);
});

it("drops the rest when aborted", async () => {
  const controller = new AbortController();
  let done = 0;
  const texts = passages(3000, 60);
  const running = failure(() =>
    embedder.embedBatch(texts, {
      signal: controller.signal,
      onProgress: (progress) => {
        done = progress.done;
        if (done > 50) controller.abort();
      },
    }),
  );
  const error = await running;
  expect(error).toBe(controller.signal.reason);
  expect(error.name).toBe("AbortError");
  expect(done).toBeLessThan(200);
  // What was cut off leaves the workers free, long before 3000 texts could be done.
  const started = performance.now();
  await embedder.embedBatch(["next", "please"]);
  expect(performance.now() - started).toBeLessThan(2000);
  expect(done).toBeLessThan(200);
});

it("rejects with the signal's own reason, also before it starts", async () => {
  const reason = { stop: true };
  expect(await failure(() => embedder.embed("x", { signal: AbortSignal.abort(reason) }))).toBe(reason);
  const late = new AbortController();
  const running = failure(() => embedder.embedBatch(passages(500, 60), { signal: late.signal }));
  late.abort(reason);
  expect(await running).toBe(reason);
  expect(
    (await failure(() => embedder.embedBatch(passages(500, 100), { signal: AbortSignal.timeout(30) }))).name,
  ).toBe("TimeoutError");
});

it("gives up a long text between its windows", async () => {
  const average = new OnnxEmbedder({ workers: 2, truncate: "average" });
  const started = performance.now();
  const long = passages(1, 1000)[0]?.concat(" ").repeat(200) as string;
  await failure(() => average.embed(long, { signal: AbortSignal.timeout(300) }));
  await embedder.embedBatch(passages(4, 5));
  expect(performance.now() - started).toBeLessThan(5000);
  await average.close();
});

it("serves one signal to many calls without a warning", async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => warnings.push(warning);
  process.on("warning", listener);
  const { signal } = new AbortController();
  await Promise.all(passages(50, 3).map((text) => embedder.embed(text, { signal })));
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off("warning", listener);
  expect(warnings).toEqual([]);
});

it("answers a single text ahead of a batch under way", async () => {
  let finished = false;
  const batch = embedder.embedBatch(passages(600, 40)).then(() => {
    finished = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  await embedder.embed("a question", { kind: "query" });
  expect(finished).toBe(false);
  await batch;
});

it("lets batches of different settings run beside each other", async () => {
  const small = new OnnxEmbedder({ workers: 2, dimensions: 16 });
  const texts = passages(40, 8);
  const [full, cut, none] = await Promise.all([
    embedder.embedBatch(texts),
    small.embedBatch(texts),
    failure(() => embedder.embedBatch([...texts, 5 as unknown as string])),
  ]);
  expect(full.map((vector) => vector.length)).toEqual(texts.map(() => 384));
  expect(cut.map((vector) => vector.length)).toEqual(texts.map(() => 16));
  expect(none).toMatchObject({ code: "INVALID_INPUT" });
  await small.close();
});
