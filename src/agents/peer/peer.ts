import { A2AError } from "../../errors.js";
import { invalidOption } from "../../options.js";
import type { AgentCard, AgentSkill } from "../card/agent-card.js";
import type { Verification } from "../card/card-signature.js";
import { discoverAgent } from "../card/discover-agent.js";
import { createGuardedFetch, type GuardedHttp } from "../http/guarded-fetch.js";
import { type Limits, resolveLimits } from "../http/limits.js";
import { loadClientSdk } from "./a2a-sdk.js";
import { type ConnectOptions, readConnectOptions } from "./connect-options.js";
import { GrpcWire } from "./grpc-wire.js";
import { HttpWire } from "./http-wire.js";
import { type A2AInput, readMessage, toRequest } from "./message.js";
import { chooseInterface, type PeerInterface } from "./peer-interface.js";
import {
  checkCallOptions,
  checkSendOptions,
  type PeerCallOptions,
  type SendOptions,
} from "./peer-options.js";
import type { PeerWire, UpdateStream } from "./peer-wire.js";
import { fromWirePushConfig, type PushConfig, toWirePushConfig } from "./push-config.js";
import { answerStream, replayed } from "./replayed-update.js";
import { retried } from "./retried-request.js";
import { type A2ATask, TaskAssembly, taskOf } from "./task.js";
import type { FollowOptions, TaskCalls } from "./task-calls.js";
import { childContext, contextMetadata, currentTaskContext, traceparent } from "./task-context.js";
import { type A2AEvent, taskEvent } from "./task-event.js";
import { LIST_NAMES, type ListTasksOptions, type TaskPage, toListRequest, toTaskPage } from "./task-page.js";
import { applyTaskPolicy, checkTaskPolicy } from "./task-policy.js";
import { followTask } from "./task-stream.js";

/** Longest time that closing waits for cancellations to reach the peer, in milliseconds. */
const CLOSE_MS = 2_000;

/**
 * A remote agent that speaks A2A (Agent2Agent) 1.0 or 0.3.
 *
 * Everything it says is content of a stranger: texts, files and links are passed on and never followed or run.
 *
 * @example
 * ```ts
 * await using peer = await A2APeer.connect("https://agent.example");
 * for await (const event of peer.stream("Translate: good morning")) {
 *   if (event.type === "artifact") process.stdout.write(event.text ?? "");
 * }
 * ```
 */
export class A2APeer implements AsyncDisposable {
  /** What the agent says about itself; after verification only what its signature covers. */
  readonly card: AgentCard;
  /** Whose signature the card bears; `undefined` if that was not checked. */
  readonly verified: Verification | undefined;
  /** Who it is: the thumbprint of the key that signed its card, otherwise the URL of the card. */
  readonly agentId: string;
  /** The interface of the card that is spoken. */
  readonly interface: Readonly<PeerInterface>;

  readonly #wire: PeerWire;
  readonly #http: GuardedHttp;
  readonly #limits: Readonly<Limits>;
  readonly #background = new Set<Promise<unknown>>();
  #running = 0;
  #isClosed = false;

  private constructor(
    found: { card: AgentCard; verified: Verification | undefined; agentId: string },
    wire: PeerWire,
    http: GuardedHttp,
    limits: Readonly<Limits>,
  ) {
    this.card = found.card;
    this.verified = found.verified;
    this.agentId = found.agentId;
    this.interface = wire.offer;
    this.#wire = wire;
    this.#http = http;
    this.#limits = limits;
  }

  /**
   * Finds an agent by its card, checks who signed it, and chooses how to talk to it. No task is started.
   *
   * @param url - of the agent, or of its card if it ends in `.json`; see {@link discoverAgent}
   * @throws {@link A2AError} `A2A_SDK_NOT_INSTALLED`, `PROTOCOL_NOT_SUPPORTED`, and what {@link discoverAgent} throws
   * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
   */
  static async connect(url: string | URL, options: ConnectOptions = {}): Promise<A2APeer> {
    const where = "A2APeer.connect()";
    const { protocol, bindings } = readConnectOptions(options, where);
    if (!URL.canParse(String(url))) throw invalidOption(where, "url", "a URL", String(url));
    const { auth, network, tls, limits: given, verify, trust, signal } = options;
    const limits = resolveLimits(given, where);
    const sdk = await loadClientSdk();
    const guards = {
      limits,
      ...(network && { network }),
      ...(tls && { tls }),
      ...(auth && { auth, origin: new URL(url).origin }),
    };
    const http = createGuardedFetch(guards);
    try {
      const found = await discoverAgent(url, {
        fetch: http.fetch,
        limits,
        ...(verify && { verify }),
        ...(trust && { trust }),
        ...(signal && { signal }),
      });
      const offer = chooseInterface(found.card.interfaces, protocol, bindings);
      const wire =
        offer.binding === "GRPC"
          ? await GrpcWire.open(offer, guards)
          : await HttpWire.open({ sdk, offer, fetch: http.fetch as typeof fetch, limits });
      return new A2APeer(found, wire, http, limits);
    } catch (error) {
      await http.close();
      throw error;
    }
  }

  /** What the agent says it can do. */
  get skills(): readonly AgentSkill[] {
    return this.card.skills;
  }

  /**
   * Sends a message and gives the updates of the task as they come, until it is over or asks something back
   * (`input-required`, `auth-required`): answer by another message with the task's ids.
   *
   * A connection that breaks is replaced, and what was missed is made good. Leaving the loop leaves the task running;
   * aborting the signal cancels it at the peer. The peer is slowed down by a loop that takes its time.
   *
   * @throws {@link A2AError} in the loop: `STREAM_INTERRUPTED` (transient), `FOREIGN_EVENT`, `TASK_TIMEOUT`,
   * `RESPONSE_TOO_LARGE`, `AGENT_FAILED`, … An agent that fails at its task is no error but the state `failed`
   */
  stream(input: A2AInput, options: SendOptions = {}): AsyncGenerator<A2AEvent, void, undefined> {
    const where = "A2APeer.stream()";
    checkSendOptions(options, where);
    checkTaskPolicy(options.policy, where);
    const message = readMessage(input, where);
    const { taskId, contextId, policy = {}, signal } = options;
    this.#checkOpen(where);
    const estimate = { costUsd: 0, tokens: 0 };
    applyTaskPolicy(policy, { skill: message.skill, estimate, running: this.#running, where });
    const parent = options.context ?? currentTaskContext();
    const context = parent && childContext(parent, this.agentId);
    const headers = { ...(context && { traceparent: traceparent(context) }), ...options.headers };
    const canStream = this.card.capabilities.streaming;
    const request = toRequest(message, {
      tenant: this.interface.tenant,
      taskId,
      contextId,
      metadata: context && contextMetadata(context),
      returnImmediately: !canStream,
      acceptedOutputModes: [],
    });
    // Sent twice, a message without an id of its own would be two for the peer.
    const isRepeatable = message.messageId !== undefined;
    const open = (inner: AbortSignal) =>
      retried(
        async () => {
          const call = { signal: inner, headers };
          if (canStream) return this.#wire.send(request, call, where);
          return answerStream(await this.#wire.transport.sendMessage(request, this.#wire.call(call)));
        },
        { where, isRepeatable, signal: inner },
      );
    return this.#follow(open, {
      where,
      taskId,
      continues: taskId !== undefined,
      signal,
      maxDurationMs: policy.maxDurationMs,
    });
  }

  /** Sends a message and waits until the task is over or asks something back. Throws as {@link A2APeer.stream} does. */
  async send(input: A2AInput, options: SendOptions = {}): Promise<A2ATask> {
    const assembly = new TaskAssembly();
    for await (const event of this.stream(input, options)) assembly.add(event);
    return assembly.task;
  }

  /** Follows a task that runs already, from a snapshot of it on. */
  resume(taskId: string, options: PeerCallOptions = {}): AsyncGenerator<A2AEvent, void, undefined> {
    const where = "A2APeer.resume()";
    checkCallOptions(options, where);
    checkId(taskId, where);
    this.#checkOpen(where);
    const open = async (inner: AbortSignal): Promise<UpdateStream> => {
      const call = { signal: inner, headers: options.headers };
      return replayed(taskEvent(await this.#getTask(taskId, call, where)));
    };
    return this.#follow(open, { where, taskId, signal: options.signal });
  }

  /**
   * A task as it stands.
   *
   * @throws {@link A2AError} `TASK_NOT_FOUND`
   */
  async get(taskId: string, options: PeerCallOptions = {}): Promise<A2ATask> {
    const where = "A2APeer.get()";
    checkCallOptions(options, where);
    checkId(taskId, where);
    return taskOf(taskEvent(await this.#getTask(taskId, options, where)));
  }

  /**
   * Tasks of the peer that its caller may see, newest first. Protocol 0.3 has no such call.
   *
   * @throws {@link A2AError} `UNSUPPORTED_OPERATION`
   */
  async list(options: ListTasksOptions = {}): Promise<TaskPage> {
    const where = "A2APeer.list()";
    checkCallOptions(options, where, LIST_NAMES);
    const request = toListRequest(options, this.interface.tenant, where);
    return toTaskPage(
      await this.#once(where, options, true, (call) => this.#wire.transport.listTasks(request, call)),
    );
  }

  /**
   * Asks the peer to stop a task.
   *
   * @throws {@link A2AError} `TASK_NOT_CANCELABLE` when it is over already, `TASK_NOT_FOUND`
   */
  async cancel(taskId: string, options: PeerCallOptions = {}): Promise<A2ATask> {
    const where = "A2APeer.cancel()";
    checkCallOptions(options, where);
    checkId(taskId, where);
    const request = { tenant: this.interface.tenant, id: taskId, metadata: undefined };
    const task = await this.#once(where, options, true, (call) =>
      this.#wire.transport.cancelTask(request, call),
    );
    return taskOf(taskEvent(task));
  }

  /**
   * Has the peer report updates of a task to a webhook; see {@link receivePush}.
   *
   * @throws {@link A2AError} `PUSH_NOT_SUPPORTED`
   */
  async createPushConfig(
    taskId: string,
    config: PushConfig,
    options: PeerCallOptions = {},
  ): Promise<PushConfig> {
    const where = "A2APeer.createPushConfig()";
    checkCallOptions(options, where);
    checkId(taskId, where);
    const request = toWirePushConfig(config, taskId, this.interface.tenant, where);
    this.#checkPush(where);
    return fromWirePushConfig(
      await this.#once(where, options, config.id !== undefined, (call) =>
        this.#wire.transport.createTaskPushNotificationConfig(request, call),
      ),
    );
  }

  /** The webhooks of a task. */
  async listPushConfigs(taskId: string, options: PeerCallOptions = {}): Promise<PushConfig[]> {
    const where = "A2APeer.listPushConfigs()";
    checkCallOptions(options, where);
    checkId(taskId, where);
    this.#checkPush(where);
    const request = { tenant: this.interface.tenant, taskId, pageSize: 100, pageToken: "" };
    const { configs } = await this.#once(where, options, true, (call) =>
      this.#wire.transport.listTaskPushNotificationConfig(request, call),
    );
    return configs.map(fromWirePushConfig);
  }

  /** Removes a webhook of a task. */
  async deletePushConfig(taskId: string, id: string, options: PeerCallOptions = {}): Promise<void> {
    const where = "A2APeer.deletePushConfig()";
    checkCallOptions(options, where);
    checkId(taskId, where);
    this.#checkPush(where);
    const request = { tenant: this.interface.tenant, taskId, id };
    await this.#once(where, options, true, (call) =>
      this.#wire.transport.deleteTaskPushNotificationConfig(request, call),
    );
  }

  /**
   * Ends all connections to the peer, streams under way included, which throw `CLOSED`; their tasks go on.
   * Cancellations that are on their way still reach the peer. Closing twice is harmless.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([Promise.allSettled(this.#background), patience]);
    clearTimeout(timer);
    await Promise.all([this.#wire.close(), this.#http.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #follow(
    open: TaskCalls["open"],
    options: Omit<FollowOptions, "limits">,
  ): AsyncGenerator<A2AEvent, void, undefined> {
    const { where } = options;
    const calls: TaskCalls = {
      open,
      subscribe: this.card.capabilities.streaming
        ? (taskId, signal) => this.#wire.subscribe(taskId, { signal }, where)
        : undefined,
      snapshot: async (taskId, signal) => taskEvent(await this.#getTask(taskId, { signal }, where)),
      cancel: (taskId) => this.#inBackground(this.cancel(taskId)),
    };
    const onEnd = () => {
      this.#running--;
    };
    const onStart = () => {
      this.#running++;
    };
    return followTask(calls, { ...options, onStart, onEnd, limits: this.#limits });
  }

  #inBackground(work: Promise<unknown>): Promise<void> {
    const done = work.then(
      () => {},
      () => {},
    );
    this.#background.add(done);
    return done.finally(() => this.#background.delete(done));
  }

  #getTask(taskId: string, options: PeerCallOptions, where: string) {
    const request = { tenant: this.interface.tenant, id: taskId };
    return this.#once(where, options, true, (call) => this.#wire.transport.getTask(request, call));
  }

  /** One request with one answer. */
  async #once<T>(
    where: string,
    options: PeerCallOptions,
    isRepeatable: boolean,
    run: (call: ReturnType<PeerWire["call"]>) => Promise<T>,
  ): Promise<T> {
    this.#checkOpen(where);
    const { signal } = options;
    signal?.throwIfAborted();
    const attempt = async () => {
      try {
        return await run(this.#wire.call(options));
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        throw error;
      }
    };
    return retried(attempt, { where, isRepeatable, signal });
  }

  #checkOpen(where: string): void {
    if (this.#isClosed) throw new A2AError(`${where}: the peer is closed`, { code: "CLOSED" });
  }

  #checkPush(where: string): void {
    if (this.card.capabilities.pushNotifications) return;
    throw new A2AError(`${where}: the agent does not send push notifications`, {
      code: "PUSH_NOT_SUPPORTED",
    });
  }
}

function checkId(taskId: unknown, where: string): void {
  if (typeof taskId !== "string" || taskId === "")
    throw invalidOption(where, "taskId", "the id of a task", taskId);
}
