import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";

/**
 * Where in a chain of agents a task stands. Travels with every message, as `metadata.ruvector.context`, so that the
 * agents of a chain see it although each knows only its neighbours.
 */
export interface TaskContext {
  /** Names the whole chain: the trace id of W3C Trace Context, 32 hexadecimal digits. */
  traceId: string;
  /** Id of the task that this one is a part of. */
  parentTaskId?: string;
  /** Number of agents between the first caller and this task. 0 for a task that nobody asked for. */
  depth: number;
  /** Who started the chain. */
  rootAgentId: string;
  /** Who does this task. */
  currentAgent: string;
  /** Everyone asked so far, in order. */
  visitedAgents: readonly string[];
}

/** What a peer may make us believe at most: longer chains are cut off, and refused by their depth. */
const LONGEST_CHAIN = 256;
const LONGEST_ID = 512;

const storage = new AsyncLocalStorage<TaskContext>();

/** The task on whose behalf this code runs, when it runs within the handler of a served agent. */
export function currentTaskContext(): TaskContext | undefined {
  return storage.getStore();
}

/** Runs `work` on behalf of a task: what it sends to peers counts as part of that task. */
export function withTaskContext<T>(context: TaskContext, work: () => T): T {
  return storage.run(context, work);
}

/** The start of a chain: nobody has been asked yet. */
export function rootContext(traceId: string = randomBytes(16).toString("hex")): TaskContext {
  return { traceId, depth: 0, rootAgentId: "", currentAgent: "", visitedAgents: [] };
}

/** The context of a task at `agentId` that is asked for on behalf of `parent`. */
export function childContext(parent: TaskContext, agentId: string): TaskContext {
  return {
    ...parent,
    depth: parent.depth + 1,
    rootAgentId: parent.rootAgentId || agentId,
    currentAgent: agentId,
    visitedAgents: [...parent.visitedAgents, agentId],
  };
}

/** Where a span stands among all: 32 and 16 hexadecimal digits, and the flags of W3C Trace Context (1: recorded). */
export interface SpanPlace {
  traceId: string;
  spanId: string;
  traceFlags?: number;
}

/**
 * The header `traceparent` of W3C Trace Context, version 00, for a request of this chain.
 *
 * @param span - that the request belongs to; its trace may be another than that of the chain
 */
export function traceparent({ traceId }: TaskContext, span?: SpanPlace): string {
  const { spanId, traceFlags = 1 } = span ?? { spanId: randomBytes(8).toString("hex") };
  return `00-${span?.traceId ?? traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** A context as the metadata of a message carry it. */
export function contextMetadata(context: TaskContext): Record<string, unknown> {
  return {
    ruvector: {
      context: {
        trace_id: context.traceId,
        ...(context.parentTaskId === undefined ? {} : { parent_task_id: context.parentTaskId }),
        depth: context.depth,
        root_agent_id: context.rootAgentId,
        current_agent: context.currentAgent,
        visited_agents: context.visitedAgents,
      },
    },
  };
}

/** The context that the metadata of a message carry; `undefined` if there is none or it makes no sense. */
export function readContext(metadata: Record<string, unknown> | undefined): TaskContext | undefined {
  const given = (metadata?.ruvector as { context?: unknown } | undefined)?.context;
  if (typeof given !== "object" || given === null) return undefined;
  const { trace_id, parent_task_id, depth, root_agent_id, current_agent, visited_agents } = given as Record<
    string,
    unknown
  >;
  if (typeof trace_id !== "string" || !/^(?!0{32})[0-9a-f]{32}$/.test(trace_id)) return undefined;
  if (typeof depth !== "number" || !Number.isSafeInteger(depth) || depth < 0) return undefined;
  if (!isId(root_agent_id) || !isId(current_agent) || !Array.isArray(visited_agents)) return undefined;
  return {
    traceId: trace_id,
    ...(isId(parent_task_id) ? { parentTaskId: parent_task_id } : {}),
    // The chain is evidence, the number a claim.
    depth: Math.max(depth, visited_agents.length),
    rootAgentId: root_agent_id,
    currentAgent: current_agent,
    visitedAgents: visited_agents.slice(0, LONGEST_CHAIN).filter(isId),
  };
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_ID;
}
