import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { EmbedError } from "../errors.js";
import { nextTurn } from "../turns.js";
import { AbortWatch } from "./abort-watch.js";
import { Batch } from "./batch.js";
import { ExitGate } from "./exit-gate.js";
import {
  type EncodeSettings,
  type FromWorker,
  fromWire,
  type ToWorker,
  type WorkerModel,
  type WorkerSetup,
} from "./protocol.js";

/** Chunks a worker holds: one at work, one so that it need not wait for the main thread. */
const IN_FLIGHT = 2;
/** As many more where single texts wait: a worker does those next, between two texts of a chunk. */
const URGENT_IN_FLIGHT = 4;
/** Characters of one message; copying more takes too long for one turn of the event loop. */
const MESSAGE_CHARACTERS = 131_072;

/** What {@link WorkerPool.run} needs besides texts and settings. */
export interface RunOptions {
  /** Whose call it is, for {@link WorkerPool.release}. */
  owner: object;
  urgent: boolean;
  signal?: AbortSignal | undefined;
  onDone?: ((done: number) => void) | undefined;
}

interface Flight {
  batch: Batch;
  positions: readonly number[];
  cancelled: boolean;
}

interface Slot {
  worker: Worker;
  ready: boolean;
  /** Sending a long text takes several turns; nothing else is sent meanwhile. */
  sending: boolean;
  flights: Map<number, Flight>;
}

const pools = new Map<string, WorkerPool>();
const gates = new Set<ExitGate>();
let guarded = false;

/**
 * Worker threads that share one model. Workers start when there is work for them and keep the process alive only while
 * there is.
 */
export class WorkerPool {
  readonly #key: string;
  readonly #model: WorkerModel;
  readonly #prepare: () => Promise<void>;
  #size: number;
  #users = 0;
  #slots: Slot[] = [];
  #urgent: Batch[] = [];
  #normal: Batch[] = [];
  /** Calls not yet answered, and whose they are. */
  #open = new Map<Batch, object>();
  readonly #aborts = new AbortWatch<Batch>((batches, reason) => this.#failAll(batches, reason));
  #chunks = 0;
  #prepared = false;
  #preparing = false;
  #pumpSoon = false;

  /**
   * The pool for a model, shared by everyone who asks for the same one with as many workers.
   *
   * @param prepare - makes the model's files available; awaited before the first worker starts
   */
  static acquire(model: WorkerModel, size: number, prepare: () => Promise<void>): WorkerPool {
    const key = JSON.stringify([model.onnxFile, model.folder, model.device, size]);
    const pool = pools.get(key) ?? new WorkerPool(key, model, size, prepare);
    pools.set(key, pool);
    pool.#users++;
    return pool;
  }

  private constructor(key: string, model: WorkerModel, size: number, prepare: () => Promise<void>) {
    this.#key = key;
    this.#model = model;
    this.#size = size;
    this.#prepare = prepare;
  }

  /** Gives up one user's share: its calls reject with `error`, and the last user ends the workers. */
  async release(owner: object, error: EmbedError): Promise<void> {
    const own = [...this.#open].flatMap(([batch, user]) => (user === owner ? [batch] : []));
    this.#failAll(own, error);
    if (--this.#users > 0) return;
    pools.delete(this.#key);
    const slots = this.#slots;
    this.#slots = [];
    await Promise.all(slots.map(stop));
  }

  /** Embeds texts; vectors come in the order of the texts, each in its own buffer. */
  async run(
    texts: readonly string[],
    settings: EncodeSettings,
    options: RunOptions,
  ): Promise<Float32Array[]> {
    if (texts.length === 0) return [];
    const { signal } = options;
    signal?.throwIfAborted();
    const batch = new Batch(texts, settings, options.urgent, options.onDone);
    const unwatch = signal === undefined ? undefined : this.#aborts.watch(signal, batch);
    (batch.urgent ? this.#urgent : this.#normal).push(batch);
    this.#open.set(batch, options.owner);
    if (this.#open.size === 1) this.#hold();
    this.#pump();
    try {
      return await batch.result;
    } finally {
      unwatch?.();
      this.#open.delete(batch);
      if (this.#open.size === 0) this.#hold();
    }
  }

  /** Hands out chunks: every worker gets one before any gets a second. */
  #pump(): void {
    for (let held = 0; held < IN_FLIGHT + URGENT_IN_FLIGHT; held++) {
      if (held >= IN_FLIGHT && this.#next()?.urgent !== true) break;
      for (const slot of this.#slots) {
        if (slot.ready && !slot.sending && slot.flights.size === held) this.#assign(slot, held >= IN_FLIGHT);
      }
    }
    if (this.#next() !== undefined) this.#grow();
  }

  /** The batch to draw from; those with nothing left to draw drop out on the way. */
  #next(): Batch | undefined {
    for (const queue of [this.#urgent, this.#normal]) {
      while (queue[0]?.left === 0) queue.shift();
      if (queue[0] !== undefined) return queue[0];
    }
    return undefined;
  }

  #assign(slot: Slot, urgentOnly: boolean): void {
    const batch = this.#next();
    if (batch === undefined || (urgentOnly && !batch.urgent)) return;
    const positions = batch.draw(this.#size * 2);
    // Round robin: a long job does not keep the others waiting.
    if (!batch.urgent) this.#normal.push(...this.#normal.splice(0, 1));
    const chunk = this.#chunks++;
    slot.flights.set(chunk, { batch, positions, cancelled: false });
    const texts = positions.map((position) => batch.texts[position] ?? "");
    const message: ToWorker = { type: "embed", chunk, urgent: batch.urgent, texts, settings: batch.settings };
    if ((texts[0]?.length ?? 0) <= MESSAGE_CHARACTERS) slot.worker.postMessage(message);
    else void this.#sendLong(slot, message);
  }

  async #sendLong(slot: Slot, message: ToWorker & { type: "embed" }): Promise<void> {
    const text = message.texts[0] ?? "";
    slot.sending = true;
    for (let at = 0; at < text.length; at += MESSAGE_CHARACTERS) {
      if (slot.flights.get(message.chunk)?.batch.settled !== false) break;
      const part: ToWorker = {
        type: "part",
        chunk: message.chunk,
        text: text.slice(at, at + MESSAGE_CHARACTERS),
      };
      slot.worker.postMessage(part);
      await nextTurn();
    }
    slot.worker.postMessage({ ...message, texts: ["", ...message.texts.slice(1)] });
    slot.sending = false;
    this.#pump();
  }

  /** One more worker, if allowed; the next one in another turn, since starting one takes a while. */
  #grow(): void {
    if (!this.#prepared) {
      if (!this.#preparing) void this.#getReady();
      return;
    }
    if (this.#slots.length >= this.#size || !this.#shortOfWorkers()) return;
    this.#start();
    if (this.#slots.length < this.#size && !this.#pumpSoon) {
      this.#pumpSoon = true;
      setImmediate(() => {
        this.#pumpSoon = false;
        this.#pump();
      });
    }
  }

  /** Whether there are more texts than workers that will soon ask for some. */
  #shortOfWorkers(): boolean {
    let starting = this.#slots.filter((slot) => !slot.ready).length;
    for (const queue of [this.#urgent, this.#normal]) {
      for (const batch of queue) {
        starting -= batch.left;
        if (starting < 0) return true;
      }
    }
    return false;
  }

  async #getReady(): Promise<void> {
    this.#preparing = true;
    try {
      await this.#prepare();
      // The caller's turn has located the model already; starting a worker takes as long again.
      await nextTurn();
      this.#prepared = true;
      this.#pump();
    } catch (error) {
      this.#failAll(this.#open.keys(), error);
    } finally {
      this.#preparing = false;
    }
  }

  #start(): void {
    const gate = new ExitGate();
    const setup: WorkerSetup = { model: this.#model, gate: gate.cells };
    const worker = new Worker(workerFile(), {
      workerData: setup,
      name: "rulake-embedding",
      // Inherited flags carry loaders; but this one, from `node -e`, forbids files as entry points.
      ...(process.execArgv.some((flag) => flag.startsWith("--input-type")) ? { execArgv: [] } : {}),
    });
    const slot: Slot = { worker, ready: false, sending: false, flights: new Map() };
    let reason: unknown;
    this.#slots.push(slot);
    guardExit();
    gates.add(gate);
    worker.on("message", (message: FromWorker) => this.#receive(slot, message));
    worker.on("error", (error) => {
      reason = error;
    });
    worker.on("exit", (code) => {
      gates.delete(gate);
      const during = slot.ready ? "while embedding" : "while starting";
      this.#lost(
        slot,
        new EmbedError(`an embedding worker ended unexpectedly ${during} (exit code ${code})`, {
          code: "WORKER_CRASHED",
          category: "transient",
          context: { exitCode: code, started: slot.ready, model: this.#model.folder },
          hint: "try again: a new worker takes its place",
          cause: reason,
        }),
      );
    });
    this.#hold();
  }

  #receive(slot: Slot, message: FromWorker): void {
    if (message.type === "ready") slot.ready = true;
    else if (message.type === "unusable") this.#lost(slot, fromWire(message.error));
    else {
      const flight = slot.flights.get(message.chunk);
      slot.flights.delete(message.chunk);
      if (flight === undefined || flight.batch.settled) {
        // Given up meanwhile.
      } else if (message.type === "done") {
        flight.batch.accept(flight.positions, message.vectors);
        if (flight.batch.settled) this.#cancelSettled();
      } else {
        const error = fromWire(message.error);
        error.context.index = flight.positions[message.text];
        this.#failAll([flight.batch], error);
      }
    }
    this.#pump();
  }

  /** A worker is gone: its jobs fail, and if it never worked, so does everything that waits for a first worker. */
  #lost(slot: Slot, error: EmbedError): void {
    if (!this.#slots.includes(slot)) return;
    this.#slots = this.#slots.filter((other) => other !== slot);
    const others = this.#slots.some((other) => other.ready);
    // Others run, so the machine cannot carry more of them.
    if (!slot.ready && others) this.#size = this.#slots.length;
    const lost = [...slot.flights.values()].map((flight) => flight.batch);
    slot.flights.clear();
    this.#failAll(slot.ready || others ? lost : this.#open.keys(), error);
  }

  #failAll(batches: Iterable<Batch>, error: unknown): void {
    for (const batch of batches) batch.reject(error);
    this.#cancelSettled();
    this.#pump();
  }

  /** Tells the workers to leave what nobody waits for any more. */
  #cancelSettled(): void {
    for (const slot of this.#slots) {
      for (const [chunk, flight] of slot.flights) {
        if (!flight.batch.settled || flight.cancelled) continue;
        flight.cancelled = true;
        slot.worker.postMessage({ type: "cancel", chunk } satisfies ToWorker);
      }
    }
  }

  /** Workers hold the process while a call is open, and let it end otherwise. */
  #hold(): void {
    for (const { worker } of this.#slots) {
      if (this.#open.size > 0) worker.ref();
      else worker.unref();
    }
  }
}

/** Lets a worker end between two inferences. */
async function stop(slot: Slot): Promise<void> {
  const { worker } = slot;
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.ref();
  worker.postMessage({ type: "stop" } satisfies ToWorker);
  await ended;
}

/** Makes `process.exit()` in the middle of work wait for the inferences under way. */
function guardExit(): void {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => {
    for (const gate of gates) gate.close();
  });
}

/** The worker is a file of its own beside this one in dist/; a bundled application has only the installed package. */
function workerFile(): string {
  const beside = join(
    dirname(fileURLToPath(import.meta.url)),
    import.meta.url.endsWith(".cjs") ? "embedding-worker.cjs" : "embedding-worker.mjs",
  );
  if (existsSync(beside)) return beside;
  for (const from of [import.meta.url, join(process.cwd(), "package.json")]) {
    try {
      return join(
        dirname(createRequire(from).resolve("rulake/package.json")),
        "dist",
        "embedding-worker.mjs",
      );
    } catch {
      // Not installed there.
    }
  }
  throw new EmbedError("the embedding worker of rulake was not found", {
    code: "WORKER_NOT_FOUND",
    context: { expected: beside },
    hint: "a bundler must leave 'rulake' external, or copy dist/embedding-worker.mjs beside the bundle",
  });
}
