import { parentPort, workerData } from "node:worker_threads";
import { Encoder } from "./encoder.js";
import { ExitGate } from "./exit-gate.js";
import { type EncodeSettings, type FromWorker, type ToWorker, toWire, type WorkerSetup } from "./protocol.js";

interface Chunk {
  chunk: number;
  texts: string[];
  settings: EncodeSettings;
  urgent: boolean;
}

const port = parentPort;
const waiting: { urgent: Chunk[]; normal: Chunk[] } = { urgent: [], normal: [] };
/** Chunks received and not yet answered; a late `cancel` for any other is ignored. */
const open = new Set<number>();
const cancelled = new Set<number>();
const parts = new Map<number, string[]>();
let encoder: Encoder | undefined;
let working = false;

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function receive(message: ToWorker): void {
  // Here is between two inferences; ended from outside, a worker may be inside one, which aborts the process.
  if (message.type === "stop") process.exit();
  switch (message.type) {
    case "part": {
      open.add(message.chunk);
      const known = parts.get(message.chunk) ?? [];
      known.push(message.text);
      parts.set(message.chunk, known);
      return;
    }
    case "cancel":
      if (open.has(message.chunk)) cancelled.add(message.chunk);
      return;
    case "embed": {
      const { chunk, texts, settings, urgent } = message;
      open.add(chunk);
      const pieces = parts.get(chunk);
      parts.delete(chunk);
      if (pieces !== undefined) texts[0] = pieces.join("");
      waiting[urgent ? "urgent" : "normal"].push({ chunk, texts, settings, urgent });
      if (!working) void work();
    }
  }
}

async function work(): Promise<void> {
  working = true;
  for (;;) {
    const next = waiting.urgent.shift() ?? waiting.normal.shift();
    if (next === undefined) break;
    await answer(next);
  }
  working = false;
}

async function answer(work: Chunk): Promise<void> {
  const stopped = () => cancelled.has(work.chunk);
  const vectors: Float32Array[] = [];
  for (const [text, content] of work.texts.entries()) {
    // A query need not wait for the rest of a bulk job.
    while (!work.urgent && waiting.urgent.length > 0) await answer(waiting.urgent.shift() as Chunk);
    if (stopped()) break;
    try {
      const vector = await encoder?.encode(content, work.settings, stopped);
      if (vector === undefined) break;
      vectors.push(vector);
    } catch (error) {
      forget(work.chunk);
      post({ type: "failed", chunk: work.chunk, text, error: toWire(error, "INFERENCE_FAILED") });
      return;
    }
  }
  forget(work.chunk);
  const width = vectors[0]?.length ?? 0;
  const joined = new Float32Array(width * vectors.length);
  vectors.forEach((vector, at) => {
    joined.set(vector, at * width);
  });
  post({ type: "done", chunk: work.chunk, vectors: joined }, [joined.buffer]);
}

function forget(chunk: number): void {
  open.delete(chunk);
  cancelled.delete(chunk);
}

async function start(): Promise<void> {
  try {
    const { model, gate } = workerData as WorkerSetup;
    encoder = await Encoder.load(model, new ExitGate(gate));
    port?.on("message", receive);
    post({ type: "ready" });
  } catch (error) {
    post({ type: "unusable", error: toWire(error, "MODEL_INVALID") });
  }
}

void start();
