import type { A2AFile, A2APart } from "../peer/parts.js";
import type { TaskContext } from "../peer/task-context.js";

/** A message that a served agent is to answer. */
export interface AgentRequest {
  /** The texts of the message, one after the other. */
  text: string;
  parts: readonly A2APart[];
  /** The JSON values among the parts. */
  data: readonly unknown[];
  files: readonly A2AFile[];
  /** Skill that the caller asks for, from `metadata.skillId`. */
  skill: string | undefined;
  taskId: string;
  contextId: string;
  /** What was said before in this task, oldest first: turns of a task that asked for input. */
  history: readonly { role: "user" | "agent"; text: string; parts: readonly A2APart[] }[];
  metadata: Readonly<Record<string, unknown>>;
  /** Where in a chain of agents the task stands. */
  context: TaskContext;
  /** Who asks, as the auth hook named them. */
  user: string | undefined;
  /** Aborts when the caller cancels the task, it takes too long, or the server closes. */
  signal: AbortSignal;
}

/**
 * What a handler gives out.
 *
 * - a string or a part: the next piece of the answer
 * - `{ artifactId, name?, parts }`: a piece of a result of its own; pieces of the same id are joined
 * - `{ status }`: what the agent is doing
 * - `{ inputRequired }`, `{ authRequired }`: a question to the caller, which ends this turn; the answer comes as another
 *   request with the same task
 * - `{ reject }`: the agent will not do this
 */
export type AgentUpdate =
  | string
  | A2APart
  | { artifactId: string; name?: string; parts: readonly A2APart[]; metadata?: Record<string, unknown> }
  | { status: string }
  | { inputRequired: string }
  | { authRequired: string }
  | { reject: string };

/** Answers a message: with one update, or with several as they come. */
export type AgentHandler = (
  request: AgentRequest,
) => AgentUpdate | Promise<AgentUpdate | undefined> | AsyncIterable<AgentUpdate> | undefined;

/** A retriever of LangChain.js or LlamaIndex.TS. */
export type RetrieverLike =
  | { invoke(query: string, options?: { signal?: AbortSignal }): Promise<readonly unknown[]> }
  | { retrieve(query: { query: string }): Promise<readonly unknown[]> };

/** A chain, a model or an agent of LangChain.js, or whatever has its methods. */
export interface RunnableLike {
  // biome-ignore lint/suspicious/noExplicitAny: the input of somebody else's runnable; `input` makes it
  invoke(input: any, options?: any): Promise<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  stream?(input: any, options?: any): Promise<AsyncIterable<unknown>> | AsyncIterable<unknown>;
}

/** A handler that answers with what a retriever finds: the texts, and beside them the documents with their metadata. */
export function retrieverHandler(retriever: RetrieverLike): AgentHandler {
  return async function* ({ text, signal }) {
    const found =
      "invoke" in retriever
        ? await retriever.invoke(text, { signal })
        : await retriever.retrieve({ query: text });
    const documents = found.map(toDocument);
    yield documents.map(({ text }) => text).join("\n\n");
    yield { data: { documents } };
  };
}

interface FoundDocument {
  id?: string;
  text: string;
  metadata: Record<string, unknown>;
  score?: number;
}

/** A LangChain document, or a LlamaIndex node with its score. */
function toDocument(found: unknown): FoundDocument {
  const { pageContent, metadata, id, node, score } = found as Record<string, unknown>;
  if (typeof pageContent === "string") {
    return {
      ...(typeof id === "string" ? { id } : {}),
      text: pageContent,
      metadata: { ...(metadata as object) },
    };
  }
  const { id_, getContent } = (node ?? {}) as { id_?: string; getContent?: (mode: string) => string };
  const own = ((node as { metadata?: object } | undefined)?.metadata ?? {}) as object;
  return {
    ...(id_ === undefined ? {} : { id: id_ }),
    text: getContent?.call(node, "NONE") ?? "",
    metadata: { ...own },
    ...(typeof score === "number" ? { score } : {}),
  };
}

/** How a runnable is asked and understood. */
export interface RunnableAdapter {
  /** What the runnable is given. Default: the text, or `{ messages }` for graphs and agents of LangGraph. */
  input?: ((request: AgentRequest) => unknown) | undefined;
  /** What of its output, or of a chunk of it, goes to the caller. Default: texts, contents of messages, else JSON. */
  output?: ((chunk: unknown) => AgentUpdate | undefined) | undefined;
}

/** A handler that asks a runnable, by `stream` if it has that and is no graph: those stream states, not answers. */
export function runnableHandler(
  runnable: RunnableLike,
  { input, output = toUpdate }: RunnableAdapter,
): AgentHandler {
  return async function* (request) {
    const isGraph = "nodes" in runnable || "graph" in runnable;
    const messages = () => ({ messages: [{ role: "user", content: request.text }] });
    const given = input?.(request) ?? (isGraph ? messages() : request.text);
    const options = { signal: request.signal, configurable: { thread_id: request.contextId } };
    if (isGraph || runnable.stream === undefined) {
      const update = output(await runnable.invoke(given, options));
      if (update !== undefined) yield update;
      return;
    }
    for await (const chunk of await runnable.stream(given, options)) {
      const update = output(chunk);
      if (update !== undefined && update !== "") yield update;
    }
  };
}

function toUpdate(output: unknown): AgentUpdate | undefined {
  if (output === undefined || output === null) return undefined;
  if (typeof output === "string") return output;
  const { content, messages } = output as { content?: unknown; messages?: unknown };
  if (Array.isArray(messages) && messages.length > 0) return toUpdate(messages.at(-1));
  if (typeof content === "string") return content;
  if (Array.isArray(content)) {
    return content
      .map((block) => (typeof block === "string" ? block : ((block as { text?: string }).text ?? "")))
      .join("");
  }
  return { data: output };
}
