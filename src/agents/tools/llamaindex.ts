import { FunctionTool, type JSONValue } from "llamaindex";
import { invalidOption } from "../../options.js";
import type { A2APeers } from "../dispatch/peers.js";
import type { A2APeer } from "../peer/peer.js";
import type { A2AEvent } from "../peer/task-event.js";
import { type A2AToolInput, type A2AToolOptions, RemoteTool } from "./remote-tool.js";
import { type A2AToolsOptions, remoteTools } from "./remote-tools.js";

/** What LlamaIndex' tools cannot tell by themselves. */
export interface A2ARunOptions {
  /** Cancels the tasks of all calls of the tool. */
  signal?: AbortSignal;
  /** Told every update of a task, live. */
  onEvent?: (event: A2AEvent) => void;
  /** Keeps conversations of several users or chats apart. */
  threadId?: string;
}

/** A LlamaIndex tool that asks a remote agent. */
export type A2AFunctionTool = FunctionTool<A2AToolInput, JSONValue | Promise<JSONValue>>;

/**
 * A LlamaIndex tool that asks a remote agent, or one of several. A question of the agent goes to the model, which answers
 * by calling the tool again; the conversation goes on where it stood. Answers are marked as text from outside.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 *
 * @example
 * ```ts
 * const peer = await A2APeer.connect("https://agent.example");
 * const workflow = agent({ llm, tools: [a2aTool(peer, { onEvent: (event) => console.log(event.text) })] });
 * ```
 */
export function a2aTool(
  peer: A2APeer | A2APeers,
  options: A2AToolOptions & A2ARunOptions = {},
): A2AFunctionTool {
  const [run, rest] = split(options, "a2aTool()");
  return functionTool(new RemoteTool(peer, rest, "a2aTool()"), run);
}

/**
 * LlamaIndex tools for remote agents: one for every peer, for every skill, or one that chooses.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 */
export function a2aTools(
  peers: A2APeers | readonly A2APeer[],
  options: A2AToolsOptions & A2ARunOptions = {},
): A2AFunctionTool[] {
  const [run, rest] = split(options, "a2aTools()");
  return remoteTools(peers, rest, "a2aTools()").map((tool) => functionTool(tool, run));
}

function split<T extends A2ARunOptions>(
  options: T,
  where: string,
): [A2ARunOptions, Omit<T, keyof A2ARunOptions>] {
  const { signal, onEvent, threadId, ...rest } = options;
  if (onEvent !== undefined && typeof onEvent !== "function")
    throw invalidOption(where, "onEvent", "a function", onEvent);
  return [
    {
      ...(signal && { signal }),
      ...(onEvent && { onEvent }),
      ...(threadId === undefined ? {} : { threadId }),
    },
    rest,
  ];
}

function functionTool(tool: RemoteTool, { signal, onEvent, threadId }: A2ARunOptions): A2AFunctionTool {
  const execute = async (input: A2AToolInput): Promise<string> => {
    const updates = tool.run(input, { signal, threadId });
    for (;;) {
      const { done, value } = await updates.next();
      if (done) return value[0];
      onEvent?.(value);
    }
  };
  const { name, description, schema } = tool;
  return FunctionTool.from<A2AToolInput>(execute, { name, description, parameters: schema as never });
}
