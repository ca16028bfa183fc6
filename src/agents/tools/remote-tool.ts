import { createHash } from "node:crypto";
import { RuLakeError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import type { A2APeers } from "../dispatch/peers.js";
import type { A2AMessage } from "../peer/message.js";
import type { A2APeer } from "../peer/peer.js";
import { type A2ATask, TaskAssembly } from "../peer/task.js";
import type { A2AEvent } from "../peer/task-event.js";
import type { TaskPolicy } from "../peer/task-policy.js";
import { isInterrupted } from "../peer/task-state.js";
import {
  type Conversation,
  type ConversationStore,
  LakeConversations,
  MemoryConversations,
  type Question,
} from "./conversations.js";
import { describePeer, describePeers, toolName } from "./tool-description.js";
import { asUntrusted } from "./untrusted-text.js";

/** Options of tools that ask remote agents. */
export interface A2AToolOptions {
  /** Default: made from the agent's name. */
  name?: string;
  /** Default: made from the agent's card; its words are quoted, and few unless the card is verified. */
  description?: string;
  /** Always asks for this skill. */
  skill?: string;
  /** What a task may take. */
  policy?: TaskPolicy;
  /**
   * Where the ids of conversations are kept: `"<lake>/<collection>"`, or a store of your own. Default: the memory of this
   * process.
   */
  conversations?: string | ConversationStore;
}

/** What a model gives to the tool. */
export interface A2AToolInput {
  message: string;
  skill?: string | undefined;
  data?: unknown;
  files?: readonly { url: string; name?: string; mediaType?: string }[] | undefined;
  conversationId?: string | undefined;
}

/** What a tool found out, beside its text for the model. */
export interface A2AToolArtifact {
  /** The task with all its parts; missing when the peer could not be asked. */
  task?: A2ATask & { agentId: string };
  /** Why the peer could not be asked. */
  error?: { code: string; category: string; message: string };
}

/** Text for the model, and the facts. */
export type A2AToolResult = [content: string, artifact: A2AToolArtifact];

/** How a framework runs a call of the tool. */
export interface ToolRun {
  signal?: AbortSignal | undefined;
  /** Thread of the calling agent: it has its own conversation with the peer. */
  threadId?: string | undefined;
  /** Names the call, however often it is run again. */
  callId?: string | undefined;
  /**
   * Asks the user; throws to have the call run again when the answer is there. Left out where that is impossible: the
   * question then goes to the model.
   */
  interrupt?: ((question: Question & { agent: string }) => unknown) | undefined;
}

export const TOOL_OPTIONS = ["name", "description", "skill", "policy", "conversations"] as const;

/** A tool by which an agent of any framework asks one peer, or one of several. */
export class RemoteTool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of {@link A2AToolInput}. */
  readonly schema: ReturnType<typeof inputSchema>;

  readonly #target: A2APeer | A2APeers;
  /** Only this peer of several. */
  readonly #agentId: string | undefined;
  readonly #options: A2AToolOptions;
  readonly #conversations: ConversationStore;

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(target: A2APeer | A2APeers, options: A2AToolOptions, where: string, only?: A2APeer) {
    if (typeof (target as Partial<A2APeer> | undefined)?.stream !== "function") {
      throw invalidOption(where, "peer", "an A2APeer or A2APeers", target);
    }
    checkOptions(options, TOOL_OPTIONS, where);
    const { conversations } = options;
    const peer = only ?? (isOne(target) ? target : undefined);
    const peers = peer === undefined ? peersOf(target) : [peer];
    const skill = peers.flatMap(({ skills }) => skills).find(({ id }) => id === options.skill);
    this.#target = target;
    this.#agentId = only?.agentId;
    this.#options = options;
    this.#conversations =
      typeof conversations === "string"
        ? new LakeConversations(conversations)
        : (conversations ?? new MemoryConversations());
    this.name = options.name ?? toolName("ask", peer?.card.name ?? "remote agent", options.skill ?? "");
    this.description =
      options.description ?? (peer === undefined ? describePeers(peers) : describePeer(peer, skill));
    this.schema = inputSchema(
      options.skill === undefined ? peers.flatMap(({ skills }) => skills.map(({ id }) => id)) : [],
    );
  }

  /** Gives the updates of the task as they come, and in the end the answer. */
  async *run(input: A2AToolInput, run: ToolRun): AsyncGenerator<A2AEvent, A2AToolResult, undefined> {
    const thread = JSON.stringify([this.name, run.threadId ?? "", input.conversationId ?? ""]);
    const known = await this.#conversations.get(thread);
    try {
      const call =
        run.interrupt && run.callId !== undefined ? JSON.stringify([thread, run.callId]) : undefined;
      if (call !== undefined) return yield* this.#asking(input, run, thread, call, known);
      const task = yield* this.#send(this.#message(input), known, run);
      await this.#keep(thread, task);
      return this.#result(task);
    } catch (error) {
      if (!RuLakeError.isInstance(error)) throw error;
      return failed(error);
    }
  }

  /**
   * With questions to the user in between. An interrupted call is run again from its start when the answer is there, so
   * what was sent before is kept with the questions, and is not sent again.
   */
  async *#asking(
    input: A2AToolInput,
    run: ToolRun,
    thread: string,
    call: string,
    known: Conversation | undefined,
  ): AsyncGenerator<A2AEvent, A2AToolResult, undefined> {
    const questions = [...((await this.#conversations.get(call))?.questions ?? [])];
    let message = this.#message(input);
    for (let turn = 0; ; turn++) {
      if (turn >= questions.length) {
        // The same name for every attempt: a peer that got it already can tell.
        const messageId = createHash("sha256")
          .update(JSON.stringify([call, turn]))
          .digest("hex")
          .slice(0, 32);
        const task = yield* this.#send({ ...message, messageId }, questions.at(-1) ?? known, run);
        const question = questionOf(task);
        if (question === undefined) {
          await this.#conversations.delete(call);
          await this.#keep(thread, task);
          return this.#result(task);
        }
        questions.push(question);
        await this.#conversations.set(call, { contextId: question.contextId, questions });
      }
      const question = questions[turn];
      if (question === undefined) throw new TypeError("unreachable: a question was pushed above");
      message = answerOf(run.interrupt?.({ ...question, agent: this.#agentName(question.agentId) }));
    }
  }

  async *#send(
    message: A2AMessage,
    known: Conversation | Question | undefined,
    { signal }: ToolRun,
  ): AsyncGenerator<A2AEvent, A2ATask & { agentId: string }, undefined> {
    const { policy } = this.#options;
    const options = { signal, policy, contextId: known?.contextId, taskId: known?.taskId };
    // A conversation goes on with the peer that has its context.
    const agentId = this.#agentId ?? known?.agentId;
    const target = this.#target;
    const events = isOne(target)
      ? target.stream(message, options)
      : target.stream(message, { ...options, agentId });
    const assembly = new TaskAssembly();
    let from = isOne(target) ? target.agentId : (agentId ?? "");
    for await (const event of events) {
      assembly.add(event);
      from = event.agentId ?? from;
      yield event;
    }
    return { ...assembly.task, agentId: from };
  }

  #message({ message: text, skill, data, files }: A2AToolInput): A2AMessage {
    const asked = this.#options.skill ?? skill;
    return {
      text,
      ...(asked === undefined ? {} : { skill: asked }),
      ...(data === undefined ? {} : { data }),
      ...(files === undefined ? {} : { files }),
    };
  }

  async #keep(
    thread: string,
    { contextId, taskId, agentId, state }: A2ATask & { agentId: string },
  ): Promise<void> {
    if (contextId === "") return;
    await this.#conversations.set(
      thread,
      isInterrupted(state) ? { contextId, agentId, taskId } : { contextId, agentId },
    );
  }

  #result(task: A2ATask & { agentId: string }): A2AToolResult {
    const agent = this.#agentName(task.agentId);
    const { text, state, artifacts } = task;
    const data = artifacts.flatMap(({ parts }) =>
      parts.flatMap((part) => ("data" in part ? [JSON.stringify(part.data)] : [])),
    );
    const files = artifacts.flatMap(({ parts }) =>
      parts.flatMap((part) => ("file" in part ? [part.file.name ?? part.file.url ?? "a file"] : [])),
    );
    const body = [text, ...data, ...files.map((name) => `(file: ${name})`)]
      .filter((each) => each !== "")
      .join("\n\n");
    const marked = asUntrusted(body || "(nothing)", agent);
    if (isInterrupted(state)) {
      return [
        `The remote agent needs an answer before it goes on. ${marked}\nTo answer, call this tool again.`,
        { task },
      ];
    }
    return [state === "completed" ? marked : `The task ended as '${state}'. ${marked}`, { task }];
  }

  #agentName(agentId: string | undefined): string {
    const peers = peersOf(this.#target);
    const peer = peers.find((each) => each.agentId === agentId) ?? peers[0];
    return peer?.card.name ?? "unknown";
  }
}

/** By shape: the classes of an ESM and of a CommonJS build are not the same. */
function isOne(target: A2APeer | A2APeers): target is A2APeer {
  return "card" in target;
}

function peersOf(target: A2APeer | A2APeers): readonly A2APeer[] {
  return isOne(target) ? [target] : target.peers;
}

function inputSchema(skills: readonly string[]) {
  const unique = [...new Set(skills)];
  return {
    type: "object" as const,
    properties: {
      message: { type: "string", description: "What to tell or ask the agent, complete in itself" },
      ...(unique.length > 1
        ? { skill: { type: "string", enum: unique, description: "Skill of the agent to use" } }
        : {}),
      data: { type: "object", description: "Structured input beside the message" },
      files: {
        type: "array",
        description: "Links to files that the agent needs",
        items: {
          type: "object",
          properties: { url: { type: "string" }, name: { type: "string" }, mediaType: { type: "string" } },
          required: ["url"],
        },
      },
      conversationId: {
        type: "string",
        description: "Keeps conversations apart; leave it out to go on with the last one",
      },
    },
    required: ["message"],
  };
}

function questionOf({
  state,
  taskId,
  contextId,
  agentId,
  text,
  message,
}: A2ATask & { agentId: string }): Question | undefined {
  if (state !== "input-required" && state !== "auth-required") return undefined;
  return { taskId, contextId, agentId, state, text: message?.text ?? text };
}

/** What the user answered: a text, or a message with other parts as well. */
function answerOf(answer: unknown): A2AMessage {
  if (typeof answer === "string") return { text: answer };
  if (
    typeof answer === "object" &&
    answer !== null &&
    ("text" in answer || "data" in answer || "files" in answer)
  ) {
    const { text, data, files } = answer as A2AMessage;
    return {
      ...(text === undefined ? {} : { text }),
      ...(data === undefined ? {} : { data }),
      ...(files ? { files } : {}),
    };
  }
  return { data: answer };
}

/** A peer that cannot be asked is news for the model, which can do without; it is no end of the agent. */
function failed(error: RuLakeError): A2AToolResult {
  const { code, category, message } = error;
  const again = error.isRetryable() ? " It may work later." : "";
  return [`The remote agent could not be asked (${code}).${again}`, { error: { code, category, message } }];
}
