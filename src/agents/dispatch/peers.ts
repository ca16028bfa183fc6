import { A2AError, RuLakeError } from "../../errors.js";
import { checkOptions, invalidOption, suggestion } from "../../options.js";
import { type A2AInput, readMessage } from "../peer/message.js";
import type { A2APeer } from "../peer/peer.js";
import { checkSendOptions, type SendOptions } from "../peer/peer-options.js";
import { type A2ATask, TaskAssembly } from "../peer/task.js";
import { currentTaskContext, rootContext, type TaskContext, traceparent } from "../peer/task-context.js";
import type { A2AEvent } from "../peer/task-event.js";
import { applyTaskPolicy, checkTaskPolicy, type TaskEstimate, type TaskPolicy } from "../peer/task-policy.js";
import { isInterrupted } from "../peer/task-state.js";
import { type BreakerOptions, CircuitBreaker, type Outcome, readBreakerOptions } from "./breaker.js";
import { Budget, type BudgetLease, type BudgetOptions, type BudgetUse } from "./budget.js";
import { RecursionGuard, type RecursionOptions } from "./recursion.js";
import { byCapability, chained, type PeerSelector, type PeerStats, roundRobin } from "./selector.js";
import { TaskSpan, type TracerLike } from "./span.js";
import { readUsage } from "./task-usage.js";

/** A peer, and what its tasks are expected to take each. */
export interface PeerEntry {
  peer: A2APeer;
  /** US dollars. */
  costUsd?: number;
  tokens?: number;
}

/** Options of {@link A2APeers}. */
export interface PeersOptions {
  /** Over all tasks together. Default: none. */
  budget?: BudgetOptions;
  /** Default: chains of 8 agents, none of them twice. */
  recursion?: RecursionOptions;
  /** Default: peers with the skill, one after the other. */
  selector?: PeerSelector;
  /** What every single task may take; a call's own policy comes on top of it. */
  policy?: TaskPolicy;
  /** Default: 3 failures, 30 seconds. */
  breaker?: BreakerOptions;
  /** Makes a span of every task: `trace.getTracer("…")` of `@opentelemetry/api`. */
  tracer?: TracerLike;
}

/** Options of {@link A2APeers.stream} and {@link A2APeers.send}. */
export interface DispatchOptions extends SendOptions {
  /** Only this peer, by its `agentId`. */
  agentId?: string | undefined;
  /** What the task is expected to take, when that is not what its peer was entered with. */
  estimate?: Partial<TaskEstimate> | undefined;
}

interface Member {
  agentId: string;
  peer: A2APeer;
  entered: TaskEstimate;
  breaker: CircuitBreaker;
  running: number;
  latencyMs: number | undefined;
  costUsd: number | undefined;
}

/** Weight of the latest task in the averages of a peer. */
const ALPHA = 0.3;

/** Most tasks whose peer is remembered while they wait for an answer. */
const REMEMBERED = 10_000;

/** Permanent errors of peers that do not keep to the protocol. */
const MISBEHAVIOUR = new Set([
  "FOREIGN_EVENT",
  "INVALID_AGENT_RESPONSE",
  "JSON_REFUSED",
  "RESPONSE_TOO_LARGE",
]);

const NAMES = ["budget", "recursion", "selector", "policy", "breaker", "tracer"];

/**
 * Peers that share the work, within bounds. For every task, before anything is sent and in this order: the budget, the
 * guard against recursion, the choice of a peer, the task policy.
 *
 * @example
 * ```ts
 * const peers = new A2APeers([{ peer: fast, costUsd: 0.02 }, { peer: cheap, costUsd: 0.001 }], {
 *   budget: { maxCostUsd: 1, windowMs: 3_600_000 },
 *   selector: chained(byCapability(), byCost({ underLatencyMs: 5_000 })),
 * });
 * const { text } = await peers.send({ text: "Summarise …", skill: "summarise" });
 * ```
 */
export class A2APeers implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #budget: Budget | undefined;
  readonly #recursion: RecursionGuard;
  readonly #selector: PeerSelector;
  readonly #policy: TaskPolicy | undefined;
  readonly #tracer: TracerLike | undefined;
  /** Who waits for an answer to its question, by task. */
  readonly #owners = new Map<string, string>();

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(peers: readonly (A2APeer | PeerEntry)[], options: PeersOptions = {}) {
    const where = "new A2APeers()";
    checkOptions(options, NAMES, where);
    const breaker = readBreakerOptions(options.breaker ?? {}, where);
    this.#members = peers.map((each) => {
      const { peer, costUsd = 0, tokens = 0 } = "peer" in each ? each : { peer: each };
      const entered = { costUsd, tokens };
      const fresh = { running: 0, latencyMs: undefined, costUsd: undefined };
      return { agentId: peer.agentId, peer, entered, breaker: new CircuitBreaker(breaker), ...fresh };
    });
    const ids = new Set(this.#members.map(({ agentId }) => agentId));
    if (ids.size !== peers.length) throw invalidOption(where, "peers", "different agents", peers);
    checkTaskPolicy(options.policy, where);
    this.#budget = options.budget && new Budget(options.budget, where);
    this.#recursion = new RecursionGuard(options.recursion ?? {}, where);
    this.#selector = options.selector ?? chained(byCapability(), roundRobin());
    this.#policy = options.policy;
    this.#tracer = options.tracer;
  }

  /** The peers. */
  get peers(): readonly A2APeer[] {
    return this.#members.map(({ peer }) => peer);
  }

  /** What is known of each peer. */
  stats(): PeerStats[] {
    return this.#members.map(statsOf);
  }

  /** What was taken of the budget within its window; `undefined` without a budget. */
  get budgetUse(): BudgetUse | undefined {
    return this.#budget?.use;
  }

  /**
   * Sends a message to one of the peers, and gives the updates as {@link A2APeer.stream} does, each with the `agentId` of
   * the peer. An answer to a task that waits for input goes to the peer that asked.
   *
   * @throws {@link A2AError} in the loop, and before anything is sent: `BUDGET_EXCEEDED`, `RECURSION_REFUSED`,
   * `NO_PEER_FOUND`, `CIRCUIT_OPEN`, `POLICY_VIOLATION`
   */
  async *stream(input: A2AInput, options: DispatchOptions = {}): AsyncGenerator<A2AEvent, void, undefined> {
    const where = "A2APeers.stream()";
    checkSendOptions(options, where, ["agentId", "estimate"]);
    checkTaskPolicy(options.policy, where);
    const { skill } = readMessage(input, where);
    const { agentId, estimate, ...sending } = options;
    const parent = options.context ?? currentTaskContext();
    const lease = await this.#budget?.acquire(estimateOf(estimate), options.signal, where);
    let chosen: { member: Member; leave: (outcome: Outcome) => void };
    try {
      chosen = this.#choose(skill, options, parent, lease, where);
    } catch (error) {
      lease?.release();
      throw error;
    }
    const { member, leave } = chosen;
    const span = new TaskSpan(this.#tracer, {
      "a2a.agent.id": member.agentId,
      "a2a.agent.name": member.peer.card.name,
      ...(skill === undefined ? {} : { "a2a.skill": skill }),
    });
    const context = parent ?? rootContext(span.place?.traceId);
    if (context.traceId !== span.place?.traceId) span.set("a2a.trace.id", context.traceId);
    const headers = { ...options.headers, traceparent: traceparent(context, span.place) };
    const policy = mergedPolicy(this.#policy, options.policy);
    const started = performance.now();
    let outcome: Outcome = "neither";
    let usage: Partial<TaskEstimate> = {};
    member.running++;
    try {
      for await (const event of member.peer.stream(input, { ...sending, context, headers, policy })) {
        usage = { ...usage, ...readUsage(event.metadata) };
        this.#remember(event, member.agentId);
        yield { ...event, agentId: member.agentId };
        if (event.state !== undefined) span.state(event.state);
        if (event.taskId !== "") span.set("a2a.task.id", event.taskId);
      }
      outcome = "success";
    } catch (error) {
      span.fail(error);
      if (isPeersFault(error)) outcome = "failure";
      throw error;
    } finally {
      member.running--;
      leave(outcome);
      if (outcome === "success") {
        member.latencyMs = average(member.latencyMs, performance.now() - started);
        if (usage.costUsd !== undefined) member.costUsd = average(member.costUsd, usage.costUsd);
      }
      const expected = estimateOf(estimate, member.entered);
      // A peer may say that it took more than was expected; that it took less is only its word.
      lease?.settle({
        tokens: Math.max(expected.tokens, usage.tokens ?? 0),
        costUsd: Math.max(expected.costUsd, usage.costUsd ?? 0),
      });
      span.end();
    }
  }

  /** Sends a message to one of the peers and waits for the end of its task. Throws as {@link A2APeers.stream} does. */
  async send(input: A2AInput, options: DispatchOptions = {}): Promise<A2ATask & { agentId: string }> {
    const assembly = new TaskAssembly();
    let agentId = "";
    for await (const event of this.stream(input, options)) {
      assembly.add(event);
      agentId = event.agentId ?? agentId;
    }
    return { ...assembly.task, agentId };
  }

  /** Closes all peers. */
  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ peer }) => peer.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Recursion, selection and policy; of the chosen peer the circuit is entered. */
  #choose(
    skill: string | undefined,
    { agentId, taskId, estimate, policy }: DispatchOptions,
    parent: TaskContext | undefined,
    lease: BudgetLease | undefined,
    where: string,
  ): { member: Member; leave: (outcome: Outcome) => void } {
    const owner = agentId ?? (taskId === undefined ? undefined : this.#owners.get(taskId));
    const named =
      owner === undefined ? this.#members : this.#members.filter((each) => each.agentId === owner);
    if (named.length === 0) throw this.#notFound(owner, skill, where);
    const allowed = this.#recursion.allowed(named, parent, where);
    const ready = allowed.filter(({ breaker }) => breaker.waitMs === 0);
    if (ready.length === 0) throw circuitOpen(allowed, where);
    const [first] = this.#selector(ready.map(statsOf), { skill });
    const member = ready.find((each) => each.agentId === first?.agentId);
    if (member === undefined) throw this.#notFound(owner, skill, where);
    const expected = estimateOf(estimate, member.entered);
    for (const each of [this.#policy, policy]) {
      if (each !== undefined)
        applyTaskPolicy(each, { skill, estimate: expected, running: member.running, where });
    }
    lease?.adjust(expected);
    const leave = member.breaker.enter();
    if (leave === undefined) throw circuitOpen([member], where);
    return { member, leave };
  }

  #remember({ taskId, state }: A2AEvent, agentId: string): void {
    if (taskId === "" || state === undefined) return;
    this.#owners.delete(taskId);
    if (!isInterrupted(state)) return;
    this.#owners.set(taskId, agentId);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size > REMEMBERED && oldest !== undefined) this.#owners.delete(oldest);
  }

  #notFound(agentId: string | undefined, skill: string | undefined, where: string): A2AError {
    const wanted = agentId ?? skill ?? "";
    const known =
      agentId !== undefined
        ? this.#members.map((each) => each.agentId)
        : this.#members.flatMap(({ peer }) => peer.skills.map(({ id }) => id));
    const what =
      agentId !== undefined ? `agent '${agentId}'` : skill === undefined ? "task" : `skill '${skill}'`;
    return new A2AError(`${where}: no peer for ${what}${suggestion(wanted, known)}`, {
      code: "NO_PEER_FOUND",
      context: { agentId, skill, known: known.slice(0, 100) },
    });
  }
}

/** Whether an error speaks against the peer, rather than against what it was asked, or by whom. */
function isPeersFault(error: unknown): boolean {
  if (!RuLakeError.isInstance(error)) return false;
  return error.category !== "permanent" || MISBEHAVIOUR.has(error.code);
}

function statsOf({ agentId, peer, entered, breaker, running, latencyMs, costUsd }: Member): PeerStats {
  const { name } = peer.card;
  const cost = costUsd ?? entered.costUsd;
  return { agentId, name, skills: peer.skills, latencyMs, costUsd: cost, running, breaker: breaker.state };
}

function estimateOf(given: Partial<TaskEstimate> | undefined, entered?: TaskEstimate): TaskEstimate {
  return { tokens: given?.tokens ?? entered?.tokens ?? 0, costUsd: given?.costUsd ?? entered?.costUsd ?? 0 };
}

function mergedPolicy(general: TaskPolicy | undefined, own: TaskPolicy | undefined): TaskPolicy {
  const durations = [general?.maxDurationMs, own?.maxDurationMs].filter((each) => each !== undefined);
  return durations.length === 0 ? {} : { maxDurationMs: Math.min(...durations) };
}

function average(before: number | undefined, latest: number): number {
  return before === undefined ? latest : ALPHA * latest + (1 - ALPHA) * before;
}

function circuitOpen(members: readonly Member[], where: string): A2AError {
  const waitMs = Math.min(...members.map(({ breaker }) => breaker.waitMs));
  return new A2AError(`${where}: all peers that could be asked have failed and are left alone for a while`, {
    code: "CIRCUIT_OPEN",
    category: "transient",
    context: {
      agents: members.map(({ agentId }) => agentId),
      ...(Number.isFinite(waitMs) ? { retryAfterMs: waitMs } : {}),
    },
  });
}
