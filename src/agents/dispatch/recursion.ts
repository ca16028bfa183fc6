import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import type { TaskContext } from "../peer/task-context.js";

/** How far a chain of agents that ask each other may go. */
export interface RecursionOptions {
  /** Most agents in a chain. Default 8. */
  maxDepth?: number;
  /** Agents that may be asked again within a chain, by id; `true`: all. Default: none. */
  allowRevisit?: boolean | readonly string[];
}

const MAX_DEPTH = 8;

/** Ends chains of agents that would go on for ever. */
export class RecursionGuard {
  readonly #maxDepth: number;
  readonly #allowRevisit: boolean | readonly string[];

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(options: RecursionOptions, where: string) {
    checkOptions(options, ["maxDepth", "allowRevisit"], `${where}: recursion`);
    const { maxDepth = MAX_DEPTH, allowRevisit = false } = options;
    if (!Number.isSafeInteger(maxDepth) || maxDepth < 1) {
      throw invalidOption(where, "recursion.maxDepth", "a whole number from 1", maxDepth);
    }
    this.#maxDepth = maxDepth;
    this.#allowRevisit = allowRevisit;
  }

  /**
   * Those of the peers that may be asked on behalf of a task.
   *
   * @param parent - the task; `undefined` when nobody asked for it
   * @throws {@link A2AError} `RECURSION_REFUSED` when the chain is too long, or all peers have been asked already
   */
  allowed<T extends { agentId: string }>(
    peers: readonly T[],
    parent: TaskContext | undefined,
    where: string,
  ): T[] {
    if (parent === undefined) return [...peers];
    const context = { depth: parent.depth, traceId: parent.traceId, visitedAgents: parent.visitedAgents };
    if (parent.depth + 1 > this.#maxDepth) {
      throw new A2AError(
        `${where}: the chain of agents is ${parent.depth} long, and may not grow beyond ${this.#maxDepth}`,
        {
          code: "RECURSION_REFUSED",
          context: { rule: "maxDepth", ...context },
        },
      );
    }
    const left = peers.filter(({ agentId }) => this.#mayBeAsked(agentId, parent));
    if (left.length === 0 && peers.length > 0) {
      throw new A2AError(`${where}: every peer that could be asked is part of this chain of agents already`, {
        code: "RECURSION_REFUSED",
        context: { rule: "allowRevisit", ...context },
        hint: "recursion.allowRevisit names agents that may be asked again",
      });
    }
    return left;
  }

  #mayBeAsked(agentId: string, { visitedAgents, currentAgent, rootAgentId }: TaskContext): boolean {
    const allow = this.#allowRevisit;
    if (allow === true || (Array.isArray(allow) && allow.includes(agentId))) return true;
    return agentId !== currentAgent && agentId !== rootAgentId && !visitedAgents.includes(agentId);
  }
}
