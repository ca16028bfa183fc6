import { mkdtempSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import threads from "node:worker_threads";
import { afterAll, beforeEach, expect, it } from "vitest";
import { failure, passages } from "./passages.js";
import { tinyModelFolder } from "./tiny-model.js";

// Every worker started by the package, to count them. Each loads a script first that makes it die on demand: ending it
// from outside would do so inside native code, which aborts the process.
const started: threads.Worker[] = [];
const Original = threads.Worker;
const channel = new threads.BroadcastChannel("die");
const script = join(mkdtempSync(join(tmpdir(), "rulake-die-")), "die.cjs");
writeFileSync(
  script,
  `const { BroadcastChannel, threadId } = require("node:worker_threads");
   const channel = new BroadcastChannel("die");
   channel.unref();
   channel.onmessage = ({ data }) => {
     if (data.thread !== threadId) return;
     if (data.how === "throw") setImmediate(() => { throw new Error("out of luck"); });
     else process.exit(3);
   };
   if (process.env.DIE_AT_START === "1") process.exit(4);`,
);
threads.Worker = class extends Original {
  constructor(file: string | URL, options: threads.WorkerOptions = {}) {
    super(file, { ...options, execArgv: ["--require", script] });
    started.push(this);
  }
};
syncBuiltinESMExports();
const { OnnxEmbedder } = await import("rulake/embeddings");
const { OnnxEmbeddings } = await import("rulake/langchain");
const { OnnxEmbedding } = await import("rulake/llamaindex");

const alive = () => started.filter((worker) => worker.threadId > 0).length;

beforeEach(() => {
  started.length = 0;
});
afterAll(() => {
  channel.close();
  threads.Worker = Original;
  syncBuiltinESMExports();
});

it("starts nothing before it is needed, and one worker for one text", async () => {
  await using embedder = new OnnxEmbedder({ workers: 3 });
  expect(started).toHaveLength(0);
  await embedder.embed("x");
  expect(started).toHaveLength(1);
  await embedder.embedBatch(passages(200, 20));
  expect(started).toHaveLength(3);
});

it("shares workers among embedders and both frameworks until the last is closed", async () => {
  const options = { workers: 1 };
  const embedder = new OnnxEmbedder(options);
  const langchain = new OnnxEmbeddings({ ...options, truncate: "average" });
  const llamaindex = new OnnxEmbedding({ ...options, normalize: false, pooling: "cls" });
  await Promise.all([embedder.embed("x"), langchain.embedQuery("x"), llamaindex.getTextEmbedding("x")]);
  expect(started).toHaveLength(1);
  await embedder.close();
  await embedder.close();
  await langchain.close();
  expect(alive()).toBe(1);
  expect(await llamaindex.getTextEmbedding("x")).toHaveLength(384);
  await llamaindex.close();
  expect(alive()).toBe(0);
  await using again = new OnnxEmbedder(options);
  await again.embed("x");
  expect(started).toHaveLength(2);
});

it.each(["exit", "throw"])("fails the jobs of a worker that dies (%s), and replaces it", async (how) => {
  await using embedder = new OnnxEmbedder({ workers: 2 });
  const texts = passages(800, 60);
  let begun = () => {};
  const working = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const running = failure(() => embedder.embedBatch(texts, { onProgress: () => begun() }));
  await working;
  channel.postMessage({ thread: started[0]?.threadId, how });
  const error = await running;
  expect(error).toMatchObject({ code: "WORKER_CRASHED", category: "transient" });
  if (how === "throw") expect(error.cause).toMatchObject({ message: "out of luck" });
  expect((error as unknown as { isRetryable(): boolean }).isRetryable()).toBe(true);
  expect(await embedder.embedBatch(texts.slice(0, 40))).toHaveLength(40);
  expect(alive()).toBe(2);
});

it("fails every waiting call when a worker dies while it starts, and tries again at the next", async () => {
  await using embedder = new OnnxEmbedder({ workers: 1 });
  process.env.DIE_AT_START = "1";
  const calls = [embedder.embed("a"), embedder.embedBatch(["b", "c"])].map((call) => failure(() => call));
  for (const call of calls) {
    expect(await call).toMatchObject({ code: "WORKER_CRASHED", context: { started: false, exitCode: 4 } });
  }
  delete process.env.DIE_AT_START;
  expect(await embedder.embed("a")).toHaveLength(384);
});

it("fails with a structured error when the weights cannot be loaded", async () => {
  const folder = tinyModelFolder({}, { "onnx/model.onnx": "not a model" });
  await using embedder = new OnnxEmbedder({ model: folder, workers: 2 });
  const calls = [embedder.embed("one"), embedder.embedBatch(passages(100, 5)), embedder.ready()];
  for (const call of calls) {
    expect(await failure(() => call)).toMatchObject({ code: "MODEL_INVALID", name: "EmbedError" });
  }
});

it("fails with a structured error when the tokenizer cannot be used", async () => {
  const folder = tinyModelFolder(
    { "onnx/model.onnx": { table: [[1]] } },
    { "tokenizer.json": { model: {} } },
  );
  await using embedder = new OnnxEmbedder({ model: folder });
  expect(await failure(() => embedder.embed("one"))).toMatchObject({
    code: "MODEL_INVALID",
    context: { folder },
  });
});
