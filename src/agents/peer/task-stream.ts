import { A2AError, RuLakeError } from "../../errors.js";
import { limitExceeded } from "../http/limits.js";
import { DeliveredArtifacts } from "./delivered-artifacts.js";
import type { UpdateStream } from "./peer-wire.js";
import { agentFailure, fromRemote } from "./remote-error.js";
import type { FollowOptions, TaskCalls } from "./task-calls.js";
import type { A2AEvent } from "./task-event.js";
import { endsStream, type TaskState } from "./task-state.js";
import { Unbatched } from "./unbatched.js";

const NOTHING: readonly A2AEvent[] = [];

/** Updates that are read at a time: some tenths of a millisecond. */
const BATCH = 64;

/** Broken connections in a row, without an update in between, after which a stream is given up. */
const MAX_RECOVERIES = 5;

/** Waits before connecting again, in milliseconds, by the number of attempts in a row. */
const RECOVERY_DELAYS_MS = [0, 250, 1_000, 2_000, 4_000];

/** How long a stopped stream waits for the peer to name its task, so that it can be canceled, in milliseconds. */
const NAMING_MS = 2_000;

/** Longest wait between two looks at a task that cannot be followed, in milliseconds. */
const LONGEST_POLL_MS = 2_000;

/** Errors of a connection after which another one may do better; everything else ends the stream. */
const RECOVERABLE = new Set(["CONNECTION_LOST", "PEER_BUSY", "PEER_UNREACHABLE"]);

/**
 * Follows one task to its end: a terminal state, a question back (`input-required`, `auth-required`), or an answer
 * without a task. A connection that breaks before is replaced, and what was missed is made good from a snapshot.
 *
 * Leaving the loop early closes the connection and leaves the task alone; aborting the signal cancels it.
 *
 * @throws {@link A2AError} `FOREIGN_EVENT`, `RESPONSE_TOO_LARGE`, `STREAM_INTERRUPTED`, `TASK_TIMEOUT`, and what the calls
 * throw; the signal's reason
 */
export function followTask(
  calls: TaskCalls,
  options: FollowOptions,
): AsyncGenerator<A2AEvent, void, undefined> {
  return new Follower(calls, options).events();
}

/** An update that needs no reading any more. */
class ReadUpdate {
  readonly event: A2AEvent;

  constructor(event: A2AEvent) {
    this.event = event;
  }
}

class Follower {
  readonly #calls: TaskCalls;
  readonly #options: FollowOptions;
  readonly #delivered = new DeliveredArtifacts();
  /** Ends whatever waits for the peer. */
  readonly #controller = new AbortController();
  #taskId: string;
  #contextId = "";
  #state: TaskState | undefined;
  #opening: Promise<UpdateStream> | undefined;
  #stream: UpdateStream | undefined;
  /** The read under way; still so after a stop, when its result may name the task to cancel. */
  #reading: ReturnType<UpdateStream["next"]> | undefined;
  /** Updates that were read already. */
  #ahead: readonly unknown[] | undefined;
  #wake: (() => void) | undefined;
  #isCanceled = false;
  #stopped: { reason: unknown } | undefined;
  #count = 0;
  #isFirst = true;
  #hasEnded = false;
  #recoveries = 0;
  /** The connection broke at least once: only a snapshot can tell whether updates were missed. */
  #isBroken = false;

  constructor(calls: TaskCalls, options: FollowOptions) {
    this.#calls = calls;
    this.#options = options;
    this.#taskId = options.taskId ?? "";
  }

  /** The deadline or the caller's signal: nothing more is given out, and the peer is told. */
  #stop(reason: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { reason };
    this.#cancel();
    this.#wake?.();
  }

  /** Tells the peer, once, that nobody waits for its task any more. */
  #cancel(): void {
    if (this.#isCanceled || this.#taskId === "") return;
    this.#isCanceled = true;
    // Best effort: whatever comes of it, the caller has its reason already.
    this.#calls.cancel(this.#taskId).catch(() => {});
  }

  #close(): void {
    const end = () => {
      this.#stream?.cancel().catch(() => {});
      this.#controller.abort();
    };
    const isUnnamed = this.#stopped !== undefined && this.#taskId === "" && this.#opening !== undefined;
    if (isUnnamed)
      this.#cancelWhenNamed()
        .catch(() => {})
        .finally(end);
    else end();
  }

  /** Stopped after the message went out and before the peer named its task: waits a little for the name. */
  async #cancelWhenNamed(): Promise<void> {
    const timer = setTimeout(() => this.#controller.abort(), NAMING_MS);
    try {
      this.#stream ??= await this.#opening;
      while (this.#taskId === "" && this.#stream !== undefined) {
        const updates = await (this.#reading ?? this.#stream.next());
        this.#reading = undefined;
        if (updates === undefined) return;
        const named = updates.map((update) => this.#toEvent(update).taskId);
        this.#taskId = named.find((id) => id !== "") ?? "";
      }
      this.#cancel();
    } finally {
      clearTimeout(timer);
    }
  }

  events(): AsyncGenerator<A2AEvent, void, undefined> {
    return new Unbatched(this.#batches(), () => this.#throwIfStopped());
  }

  async *#batches(): AsyncGenerator<readonly A2AEvent[], void, undefined> {
    const { signal, where, limits, maxDurationMs = Number.POSITIVE_INFINITY, onStart, onEnd } = this.#options;
    signal?.throwIfAborted();
    const maxMs = Math.min(limits.totalMs, maxDurationMs);
    const onAbort = () => this.#stop(signal?.reason);
    const timer = setTimeout(() => this.#stop(tooLong(where, maxMs)), maxMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    onStart?.();
    try {
      while (!this.#hasEnded) {
        const updates = await this.#nextUpdates();
        if (updates === undefined) yield* this.#recover();
        for (let at = 0; at < (updates?.length ?? 0) && !this.#hasEnded; at += BATCH) {
          yield* this.#read(updates?.slice(at, at + BATCH) ?? []);
        }
      }
    } catch (error) {
      // The peer broke the rules or a limit: it need not go on.
      if (RuLakeError.isInstance(error) && error.category === "permanent") this.#cancel();
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#close();
      onEnd?.();
    }
  }

  /** Reads updates up to the end of the task. What came before one that makes no sense is given out before its error. */
  async *#read(updates: readonly unknown[]): AsyncGenerator<readonly A2AEvent[], void, undefined> {
    const batch: A2AEvent[] = [];
    let failure: { error: unknown } | undefined;
    try {
      for (const update of updates) {
        const event = this.#toEvent(update);
        this.#check(event);
        if (this.#isFirst && event.type === "task" && this.#options.continues) {
          this.#delivered.replace(event.artifacts ?? []);
        }
        this.#isFirst = false;
        this.#hasEnded = endsStream(event.state) || (event.type === "message" && this.#taskId === "");
        if (this.#hasEnded && this.#isBroken && event.type !== "task")
          batch.push(...(await this.#reconciled()));
        const missed = this.#prepare(event);
        if (missed.length > 0) batch.push(...missed);
        batch.push(event);
        if (this.#hasEnded) break;
      }
    } catch (error) {
      failure = { error };
    }
    if (batch.length > 0) yield batch;
    if (failure !== undefined) throw failure.error;
  }

  /** Notes an event that is about to be given out; the chunks of a snapshot that come before it. */
  #prepare(event: A2AEvent): readonly A2AEvent[] {
    if (event.state !== undefined) this.#state = event.state;
    if (event.type === "artifact") this.#delivered.add(event);
    if (event.type !== "task") return NOTHING;
    const missing = this.#delivered.missing(event);
    this.#delivered.replace(event.artifacts ?? []);
    return missing;
  }

  /** The updates that came in; `undefined` when the connection has ended. */
  async #nextUpdates(): Promise<readonly unknown[] | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) return ahead;
    try {
      if (this.#stream === undefined) {
        this.#opening = this.#calls.open(this.#controller.signal);
        this.#stream = await this.#orStopped(this.#opening);
      }
      this.#reading = this.#stream.next();
      const updates = await this.#orStopped(this.#reading);
      this.#reading = undefined;
      return updates;
    } catch (error) {
      this.#throwIfStopped();
      const known = fromRemote(error, this.#options.where);
      const isConnection = A2AError.isInstance(known) && RECOVERABLE.has(known.code);
      if (isConnection && this.#stream !== undefined) return undefined;
      return [new ReadUpdate(this.#failed(known))];
    }
  }

  #toEvent(update: unknown): A2AEvent {
    if (update instanceof ReadUpdate) return update.event;
    if (this.#stream === undefined) throw new TypeError("unreachable: updates come from a stream");
    try {
      return this.#stream.read(update);
    } catch (error) {
      return this.#failed(fromRemote(error, this.#options.where));
    }
  }

  /** An agent that failed, as the update that other servers send then; every other error is thrown. */
  #failed(error: unknown): A2AEvent {
    const text = agentFailure(error);
    if (text === undefined) throw error;
    const ids = { taskId: this.#taskId, contextId: this.#contextId };
    return { type: "status", ...ids, state: "failed", text, parts: [{ text }] };
  }

  /** Rules that hold for every event, whoever sends it. */
  #check(event: A2AEvent): void {
    const { where, limits } = this.#options;
    this.#throwIfStopped();
    if (++this.#count > limits.maxEvents) {
      throw limitExceeded("maxEvents", `more than ${limits.maxEvents} updates of one task`);
    }
    if (event.taskId !== "" && this.#taskId !== "" && event.taskId !== this.#taskId) {
      throw new A2AError(`${where}: the peer sent an update of another task`, {
        code: "FOREIGN_EVENT",
        context: { taskId: this.#taskId, received: event.taskId.slice(0, 100) },
      });
    }
    if (event.taskId !== "") this.#taskId = event.taskId;
    else if (event.type !== "message") event.taskId = this.#taskId;
    if (event.contextId !== "") this.#contextId = event.contextId;
    else event.contextId = this.#contextId;
    this.#recoveries = 0;
  }

  /**
   * The connection ended before the task did. Afterwards there is either a new one, or the end of the task was given out.
   */
  async *#recover(): AsyncGenerator<readonly A2AEvent[], void, undefined> {
    const { where } = this.#options;
    await this.#stream?.cancel();
    this.#isBroken = true;
    for (;;) {
      if (this.#taskId === "" || this.#recoveries >= MAX_RECOVERIES) {
        throw new A2AError(`${where}: the connection ended before the task did`, {
          code: "STREAM_INTERRUPTED",
          category: "transient",
          context: { taskId: this.#taskId || undefined, attempts: this.#recoveries },
          hint:
            this.#taskId === ""
              ? "the peer had not named a task yet: send the message again"
              : "peer.resume(taskId)",
        });
      }
      const delay = RECOVERY_DELAYS_MS[this.#recoveries++] ?? 0;
      if (delay > 0) await this.#pause(delay);
      try {
        if (await this.#reopen()) return;
      } catch (error) {
        this.#throwIfStopped();
        if (isFinal(error)) throw error;
      }
      // Over already, or a peer that does not let tasks be followed again.
      await this.#stream?.cancel();
      this.#stream = undefined;
      for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, LONGEST_POLL_MS)) {
        let event: A2AEvent;
        try {
          event = await this.#orStopped(this.#calls.snapshot(this.#taskId, this.#controller.signal));
        } catch (error) {
          this.#throwIfStopped();
          if (isFinal(error)) throw error;
          break;
        }
        const attempts = this.#recoveries;
        this.#check(event);
        const isNews = event.state !== this.#state || this.#delivered.missing(event).length > 0;
        // A snapshot is no progress: a peer whose connections break at once would be asked for ever.
        if (!isNews) this.#recoveries = attempts;
        this.#hasEnded = endsStream(event.state);
        if (isNews || this.#hasEnded) yield [...this.#prepare(event), event];
        if (this.#hasEnded) return;
        await this.#pause(waitMs);
      }
    }
  }

  /** Follows the task on another connection; `false` if the peer cannot do that, or ends that connection at once. */
  async #reopen(): Promise<boolean> {
    const opening = this.#calls.subscribe?.(this.#taskId, this.#controller.signal);
    const stream = opening && (await this.#orStopped(opening));
    const updates = await this.#orStopped(Promise.resolve(stream?.next()));
    if (stream === undefined || updates?.[0] === undefined) return false;
    this.#stream = stream;
    // Some servers say only in the stream that there is nothing to follow.
    this.#ahead = [new ReadUpdate(stream.read(updates[0])), ...updates.slice(1)];
    return true;
  }

  /** Before the end of a stream that was broken: chunks that fell between two connections. */
  async #reconciled(): Promise<readonly A2AEvent[]> {
    const signal = this.#controller.signal;
    const event = await this.#orStopped(this.#calls.snapshot(this.#taskId, signal)).catch(() => undefined);
    this.#throwIfStopped();
    return event === undefined || event.taskId !== this.#taskId ? NOTHING : this.#prepare(event);
  }

  #throwIfStopped(): void {
    if (this.#stopped !== undefined) throw this.#stopped.reason;
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.#orStopped(
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, ms);
        }),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** What comes of `work`, or the reason to stop, at once: not when the connection has noticed. */
  #orStopped<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#wake = () => reject(this.#stopped?.reason);
      if (this.#stopped !== undefined) this.#wake();
      work.then(resolve, reject);
    });
  }
}

/** Whether trying on another connection is of no use. */
function isFinal(error: unknown): boolean {
  return (
    RuLakeError.isInstance(error) &&
    !RECOVERABLE.has(error.code) &&
    error.code !== "UNSUPPORTED_OPERATION" &&
    error.code !== "AGENT_FAILED"
  );
}

function tooLong(where: string, maxMs: number): A2AError {
  return new A2AError(`${where}: the task took longer than ${maxMs} ms`, {
    code: "TASK_TIMEOUT",
    category: "transient",
    context: { maxMs },
    hint: "raise policy.maxDurationMs or limits.totalMs; peer.get(taskId) tells what has become of it",
  });
}
