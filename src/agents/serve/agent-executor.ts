import type { Message, Part } from "@a2a-js/sdk";
import type { AgentExecutor, ExecutionEventBus, RequestContext } from "@a2a-js/sdk/server";
import { orAborted } from "../../or-aborted.js";
import { nextTurn } from "../../turns.js";
import type { Backlog } from "../dispatch/backlog.js";
import type { ServerSdk } from "../peer/a2a-sdk.js";
import { fromWireParts, textOf, toWireParts } from "../peer/parts.js";
import { childContext, readContext, rootContext, withTaskContext } from "../peer/task-context.js";
import { type TaskState, wireStateOf } from "../peer/task-state.js";
import type { AgentHandler, AgentRequest, AgentUpdate } from "./agent-handler.js";
import { ROLE_AGENT, statusMessage } from "./status-message.js";

/** What a {@link HandlerExecutor} runs, and within which bounds. */
export interface ExecutorOptions {
  sdk: ServerSdk;
  handler: AgentHandler;
  /** Longest duration of a turn in milliseconds, and longest chain of agents that ask each other. */
  limits: { taskMs: number; maxDepth: number };
  /** Id under which the agent stands in chains of agents. */
  agentId: () => string;
  /** Told what a handler threw; a string it returns is what the caller gets to know. */
  onError: ((error: unknown, request: AgentRequest) => unknown) | undefined;
  /** Holds the handler back while its caller is behind. */
  backlog: Backlog;
}

/** Longest piece of work between two turns of the event loop, in milliseconds. */
const SLICE_MS = 1;

const ANSWER = "answer";

/** Runs the handler of a served agent and reports to the SDK's server what it gives out. */
export class HandlerExecutor implements AgentExecutor {
  readonly #options: ExecutorOptions;
  readonly #running = new Map<string, AbortController>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Number of turns under way. */
  get running(): number {
    return this.#running.size;
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, task } = request;
    const { AgentEvent } = this.#options.sdk.server;
    const controller = new AbortController();
    this.#running.set(taskId, controller);
    this.#options.backlog.open(taskId);
    const turn = new Turn(this.#options.sdk, taskId, contextId, bus);
    const timer = setTimeout(
      () => controller.abort(new DOMException("it took too long", "TimeoutError")),
      this.#options.limits.taskMs,
    );
    const asked = this.#toRequest(request, controller.signal);
    try {
      const first = task === undefined ? "submitted" : "working";
      const status = { state: wireStateOf(first), message: undefined, timestamp: new Date().toISOString() };
      bus.publish(
        AgentEvent.task({
          id: taskId,
          contextId,
          status,
          artifacts: [],
          history: [],
          metadata: task?.metadata,
        }),
      );
      if (asked.context.depth > this.#options.limits.maxDepth) {
        turn.status("rejected", "The chain of agents that ask each other is too long.");
        return;
      }
      turn.status("working");
      await withTaskContext(asked.context, () => this.#run(asked, turn, controller.signal));
    } catch (error) {
      const { reason } = controller.signal;
      if (!controller.signal.aborted) {
        const told = this.#options.onError?.(error, asked);
        turn.status("failed", typeof told === "string" ? told : "The agent failed.");
      } else if (reason instanceof DOMException && reason.name === "TimeoutError") {
        turn.status("failed", "The agent took too long.");
      } else turn.status("canceled");
    } finally {
      clearTimeout(timer);
      this.#options.backlog.close(taskId);
      if (this.#running.get(taskId) === controller) this.#running.delete(taskId);
    }
  }

  async cancelTask(taskId: string, bus: ExecutionEventBus): Promise<void> {
    const controller = this.#running.get(taskId);
    if (controller !== undefined)
      controller.abort(new DOMException("the caller canceled the task", "AbortError"));
    // Between two turns nobody runs who could tell.
    else new Turn(this.#options.sdk, taskId, "", bus).status("canceled");
  }

  /** Ends everything under way. */
  cancelAll(): void {
    for (const controller of this.#running.values()) {
      controller.abort(new DOMException("the server closes", "AbortError"));
    }
  }

  async #run(asked: AgentRequest, turn: Turn, signal: AbortSignal): Promise<void> {
    const reply = this.#options.handler(asked);
    if (!isIterable(reply)) {
      const update = await orAborted(reply, signal);
      if (update !== undefined && turn.add(update)) return;
      turn.status("completed");
      return;
    }
    const { backlog } = this.#options;
    const updates = reply[Symbol.asyncIterator]();
    let sliceStart = performance.now();
    try {
      for (;;) {
        const { done, value } = await orAborted(updates.next(), signal);
        if (done) break;
        if (turn.add(value)) return;
        backlog.add(asked.taskId);
        const ready = backlog.ready(asked.taskId);
        if (ready !== undefined) await orAborted(ready, signal);
        if (performance.now() - sliceStart > SLICE_MS) {
          await nextTurn();
          sliceStart = performance.now();
        }
      }
      turn.status("completed");
    } finally {
      // Not awaited: a handler that ignores its signal would hold up the answer that it is canceled.
      updates.return?.()?.catch?.(() => {});
    }
  }

  #toRequest(
    { userMessage, task, taskId, contextId, context }: RequestContext,
    signal: AbortSignal,
  ): AgentRequest {
    const parts = fromWireParts(userMessage.parts);
    const metadata = userMessage.metadata ?? {};
    const skill: unknown = metadata.skillId;
    const chain = readContext(metadata) ?? childContext(rootContext(), this.#options.agentId());
    const history = (task?.history ?? []).filter(({ messageId }) => messageId !== userMessage.messageId);
    return {
      text: textOf(parts),
      parts,
      data: parts.flatMap((part) => ("data" in part ? [part.data] : [])),
      files: parts.flatMap((part) => ("file" in part ? [part.file] : [])),
      skill: typeof skill === "string" ? skill : undefined,
      taskId,
      contextId,
      history: history.map(toTurn),
      metadata,
      context: { ...chain, parentTaskId: taskId },
      user: context.user?.isAuthenticated ? context.user.userName : undefined,
      signal,
    };
  }
}

/** What one run of a handler has told its caller. */
class Turn {
  readonly #sdk: ServerSdk;
  readonly #taskId: string;
  readonly #contextId: string;
  readonly #bus: ExecutionEventBus;
  readonly #begun = new Set<string>();

  constructor(sdk: ServerSdk, taskId: string, contextId: string, bus: ExecutionEventBus) {
    this.#sdk = sdk;
    this.#taskId = taskId;
    this.#contextId = contextId;
    this.#bus = bus;
  }

  /** Reports an update; whether it ends the turn. */
  add(update: AgentUpdate): boolean {
    if (typeof update === "string") this.#chunk(ANSWER, "", toWireParts([{ text: update }]));
    else if ("artifactId" in update) {
      this.#chunk(update.artifactId, update.name ?? "", toWireParts(update.parts), update.metadata);
    } else if ("status" in update) this.status("working", update.status);
    else if ("inputRequired" in update) return this.status("input-required", update.inputRequired);
    else if ("authRequired" in update) return this.status("auth-required", update.authRequired);
    else if ("reject" in update) return this.status("rejected", update.reject);
    else this.#chunk(ANSWER, "", toWireParts([update]));
    return false;
  }

  /** Reports a state, and what there is to say about it. */
  status(state: TaskState, text?: string): true {
    const [taskId, contextId] = [this.#taskId, this.#contextId];
    const message = text === undefined ? undefined : statusMessage(taskId, contextId, text);
    const status = { state: wireStateOf(state), message, timestamp: new Date().toISOString() };
    this.#bus.publish(
      this.#sdk.server.AgentEvent.statusUpdate({ taskId, contextId, status, metadata: undefined }),
    );
    return true;
  }

  #chunk(artifactId: string, name: string, parts: Part[], metadata?: Record<string, unknown>): void {
    const append = this.#begun.has(artifactId);
    this.#begun.add(artifactId);
    const artifact = { artifactId, name, description: "", parts, metadata, extensions: [] };
    this.#bus.publish(
      this.#sdk.server.AgentEvent.artifactUpdate({
        taskId: this.#taskId,
        contextId: this.#contextId,
        artifact,
        append,
        lastChunk: false,
        metadata: undefined,
      }),
    );
  }
}

function toTurn(message: Message): AgentRequest["history"][number] {
  const parts = fromWireParts(message.parts);
  return { role: message.role === ROLE_AGENT ? "agent" : "user", text: textOf(parts), parts };
}

function isIterable(value: unknown): value is AsyncIterable<AgentUpdate> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
