import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Task } from "@a2a-js/sdk";
import { LakeError } from "../../errors.js";
import type { Collection } from "../../lake/collection.js";
import { nextTurn } from "../../turns.js";
import { openCollection } from "../../vectorstore/location.js";

/** What is kept of a task beside its text, which is JSON. */
interface TaskFields extends Record<string, unknown> {
  contextId: string;
  /** Milliseconds since 1970. */
  changed: number;
}

type Kept = { task: Task; changed: number } | undefined;

/** Reads and writes a task as JSON; `Task` of the SDK. */
export interface TaskCodec {
  toJSON(task: Task): unknown;
  fromJSON(json: unknown): Task;
}

/** Collections that journals of this process have open: a lake keeps other processes out by itself. */
const inUse = new Set<string>();

/** Longest time that pieces of an answer wait to be written, in milliseconds. */
const DELAY_MS = 250;

/** Longest piece of work between two turns of the event loop, in milliseconds. */
const SLICE_MS = 1;

/**
 * Tasks of a served agent in a collection of a lake. Changes are collected and written together, the newest of each task
 * only: an answer of a thousand pieces is not written a thousand times.
 */
export class TaskJournal {
  readonly #path: string;
  readonly #codec: TaskCodec;
  #opened: { collection: Collection<TaskFields>; close: () => Promise<void> } | undefined;
  /** By key; `undefined` where the task is to be removed. */
  readonly #waiting = new Map<string, Kept>();
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  /** @param path - `<lake>/<collection>` */
  constructor(path: string, codec: TaskCodec) {
    this.#path = path;
    this.#codec = codec;
  }

  /**
   * Opens the collection, makes it if it is missing, and reads what is in it, in order of the last change.
   *
   * @throws {@link LakeError} what opening and reading a collection end with
   */
  async open(): Promise<[key: string, task: Task][]> {
    const place = resolve(this.#path);
    if (inUse.has(place)) {
      throw new LakeError(`Another agent of this process keeps its tasks in '${this.#path}'`, {
        code: "LAKE_LOCKED",
        category: "transient",
        context: { path: place },
        hint: "Give every agent a collection of its own.",
      });
    }
    inUse.add(place);
    try {
      return await this.#read();
    } catch (error) {
      inUse.delete(place);
      await this.#opened?.close();
      this.#opened = undefined;
      throw error;
    }
  }

  async #read(): Promise<[key: string, task: Task][]> {
    const options = { dimensions: 1, index: "FlatF32Index" } as const;
    this.#opened = await openCollection<TaskFields>(this.#path, options, "create", "serveAsA2A(): tasks");
    const found: { key: string; task: Task; changed: number }[] = [];
    let sliceStart = performance.now();
    for await (const { text = "", metadata } of this.#opened.collection.scan()) {
      const { key, task } = JSON.parse(text) as { key: string; task: unknown };
      found.push({ key, task: this.#codec.fromJSON(task), changed: metadata?.changed ?? 0 });
      if (performance.now() - sliceStart < SLICE_MS) continue;
      await nextTurn();
      sliceStart = performance.now();
    }
    found.sort((a, b) => a.changed - b.changed);
    return found.map(({ key, task }) => [key, task]);
  }

  /** Notes how a task stands, or that it is gone. It is written soon, or with the next {@link TaskJournal.flush}. */
  note(key: string, task: Task | undefined): void {
    if (this.#opened === undefined) return;
    this.#waiting.set(key, task && { task, changed: Date.now() });
    this.#timer ??= setTimeout(() => {
      // What cannot be written now is tried again with the next change, which says so if it fails.
      this.flush().catch(() => {});
    }, DELAY_MS).unref();
  }

  /**
   * Resolves when everything noted so far is durable.
   *
   * @throws {@link LakeError} what writing a collection ends with
   */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // One after the other, so that no older state of a task replaces a newer one.
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => {});
    return written;
  }

  /** Writes what is left and closes the lake. */
  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    try {
      await this.flush();
    } finally {
      this.#opened = undefined;
      await opened.close();
      inUse.delete(resolve(this.#path));
    }
  }

  async #write(): Promise<void> {
    const collection = this.#opened?.collection;
    if (collection === undefined || this.#waiting.size === 0) return;
    const batch = new Map(this.#waiting);
    this.#waiting.clear();
    try {
      const gone = [...batch].filter(([, kept]) => kept === undefined).map(([key]) => idOf(key));
      if (gone.length > 0) await collection.delete({ ids: gone });
      await collection.upsert(await this.#records(batch));
    } catch (error) {
      for (const [key, kept] of batch) if (!this.#waiting.has(key)) this.#waiting.set(key, kept);
      throw error;
    }
  }

  async #records(batch: ReadonlyMap<string, Kept>) {
    const records: { id: string; text: string; metadata: TaskFields }[] = [];
    let sliceStart = performance.now();
    for (const [key, kept] of batch) {
      if (kept === undefined) continue;
      const { task, changed } = kept;
      const text = JSON.stringify({ key, task: this.#codec.toJSON(task) });
      records.push({ id: idOf(key), text, metadata: { contextId: task.contextId, changed } });
      if (performance.now() - sliceStart < SLICE_MS) continue;
      await nextTurn();
      sliceStart = performance.now();
    }
    return records;
  }
}

/** Keys hold names of callers, which may be of any length. */
function idOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
