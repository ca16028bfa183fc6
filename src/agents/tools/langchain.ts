import { dispatchCustomEvent } from "@langchain/core/callbacks/dispatch";
import type { CallbackManagerForToolRun } from "@langchain/core/callbacks/manager";
import type { RunnableConfig } from "@langchain/core/runnables";
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import { StructuredTool, type ToolRunnableConfig } from "@langchain/core/tools";
import type { A2APeers } from "../dispatch/peers.js";
import type { A2APeer } from "../peer/peer.js";
import type { A2AEvent } from "../peer/task-event.js";
import type { Question } from "./conversations.js";
import { type A2AToolInput, type A2AToolOptions, type A2AToolResult, RemoteTool } from "./remote-tool.js";
import { type A2AToolsOptions, remoteTools } from "./remote-tools.js";

/** Name of the custom events that carry updates, for `streamEvents`. */
export const A2A_EVENT = "a2a_event";

/**
 * A LangChain tool that asks a remote agent, or one of several.
 *
 * Every update of the task is given live, in all three ways LangChain has: yielded (`streamMode: "tools"`), written
 * (`streamMode: "custom"`) and dispatched as the custom event `a2a_event` (`streamEvents`). Aborting the agent cancels the
 * task at the peer. A question of the peer becomes LangGraph's `interrupt()` in graphs with a checkpointer, and is resumed
 * with `new Command({ resume: "the answer" })`; elsewhere it goes to the model. The answer comes as content, marked as
 * text from outside, and as artifact, with all its parts ({@link A2AToolArtifact}).
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 *
 * @example
 * ```ts
 * const peer = await A2APeer.connect("https://agent.example");
 * const agent = createAgent({ model, tools: [createA2ATool(peer)] });
 * ```
 */
export function createA2ATool(peer: A2APeer | A2APeers, options: A2AToolOptions = {}): A2ATool {
  return new A2ATool(new RemoteTool(peer, options, "createA2ATool()"));
}

/**
 * LangChain tools for remote agents: one for every peer, for every skill, or one that chooses.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 */
export function createA2ATools(
  peers: A2APeers | readonly A2APeer[],
  options: A2AToolsOptions = {},
): A2ATool[] {
  return remoteTools(peers, options, "createA2ATools()").map((tool) => new A2ATool(tool));
}

/** See {@link createA2ATool}. */
export class A2ATool extends StructuredTool {
  readonly name: string;
  readonly description: string;
  readonly schema: RemoteTool["schema"];
  override responseFormat = "content_and_artifact" as const;

  readonly #tool: RemoteTool;

  static override lc_name(): string {
    return "A2ATool";
  }

  /** @internal Use {@link createA2ATool}. */
  constructor(tool: RemoteTool) {
    super();
    this.name = tool.name;
    this.description = tool.description;
    this.schema = tool.schema;
    this.#tool = tool;
  }

  /** @internal */
  async *_call(
    input: A2AToolInput,
    runManager?: CallbackManagerForToolRun,
    config?: ToolRunnableConfig,
  ): AsyncGenerator<A2AEvent, A2AToolResult, undefined> {
    const callbacks = runManager?.getChild();
    const child: RunnableConfig = callbacks === undefined ? { ...config } : { ...config, callbacks };
    const writer = (config as { writer?: (chunk: unknown) => void } | undefined)?.writer;
    const updates = this.#tool.run(input, {
      signal: config?.signal,
      threadId: config?.configurable?.thread_id,
      callId: config?.toolCall?.id,
      interrupt: await interruptOf(child),
    });
    try {
      for (;;) {
        const { done, value } = await updates.next();
        if (done) return value;
        writer?.({ type: A2A_EVENT, tool: this.name, event: value });
        if (callbacks !== undefined) await dispatchCustomEvent(A2A_EVENT, value, child);
        yield value;
      }
    } finally {
      await updates.return?.(undefined as never);
    }
  }
}

/** `interrupt()` of LangGraph, within graphs that can come back to the call. */
async function interruptOf(
  config: RunnableConfig,
): Promise<((question: Question & { agent: string }) => unknown) | undefined> {
  if (!config.configurable?.__pregel_checkpointer) return undefined;
  const { interrupt } = await import("@langchain/langgraph");
  // The generator is resumed by whoever reads it, not where the graph has put its configuration.
  return (question) => AsyncLocalStorageProviderSingleton.runWithConfig(config, () => interrupt(question));
}
