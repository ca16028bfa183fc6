import { createHash } from "node:crypto";
import type { Collection } from "../../lake/collection.js";
import { openCollection } from "../../vectorstore/location.js";

/** What a tool remembers of a conversation with a peer. */
export interface Conversation {
  /** The peer's id of the conversation. */
  contextId: string;
  /** Task that waits for an answer. */
  taskId?: string | undefined;
  /** Peer that the task is at. */
  agentId?: string | undefined;
  /** Questions of the peer within one call of the tool, in order; all but the last have been answered. */
  questions?: readonly Question[] | undefined;
}

/** A question of a peer. */
export interface Question {
  taskId: string;
  contextId: string;
  agentId: string | undefined;
  state: "input-required" | "auth-required";
  text: string;
}

/**
 * Where tools keep the ids of their conversations, so that the next call, in this process or another, goes on with them.
 */
export interface ConversationStore {
  get(key: string): Promise<Conversation | undefined>;
  set(key: string, conversation: Conversation): Promise<void>;
  delete(key: string): Promise<void>;
}

/** Conversations in the memory of this process, the latest of them. */
export class MemoryConversations implements ConversationStore {
  readonly #kept: number;
  readonly #conversations = new Map<string, Conversation>();

  /** @param kept - number of conversations; the one that was used least recently goes first */
  constructor(kept = 10_000) {
    this.#kept = kept;
  }

  async get(key: string): Promise<Conversation | undefined> {
    return this.#conversations.get(key);
  }

  async set(key: string, conversation: Conversation): Promise<void> {
    this.#conversations.delete(key);
    this.#conversations.set(key, conversation);
    const [oldest] = this.#conversations.keys();
    if (this.#conversations.size > this.#kept && oldest !== undefined) this.#conversations.delete(oldest);
  }

  async delete(key: string): Promise<void> {
    this.#conversations.delete(key);
  }
}

/** Conversations in a collection of a lake: they survive the process, and a power cut. */
export class LakeConversations implements ConversationStore, AsyncDisposable {
  readonly #path: string;
  #opening: ReturnType<typeof open> | undefined;

  /** @param path - `<lake>/<collection>`; opened, and created if it is missing, when it is first needed */
  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {@link LakeError} what opening and reading a collection end with */
  async get(key: string): Promise<Conversation | undefined> {
    const [record] = await (await this.#collection()).get([idOf(key)]);
    const kept = (record?.metadata as { conversation?: string } | undefined)?.conversation;
    return kept === undefined ? undefined : (JSON.parse(kept) as Conversation);
  }

  /** @throws {@link LakeError} what opening and writing a collection end with */
  async set(key: string, conversation: Conversation): Promise<void> {
    const metadata = { conversation: JSON.stringify(conversation), updated: new Date().toISOString() };
    // A collection holds vectors; nobody searches for these.
    await (await this.#collection()).upsert([{ id: idOf(key), vector: [1], metadata }]);
  }

  /** @throws {@link LakeError} what opening and writing a collection end with */
  async delete(key: string): Promise<void> {
    await (await this.#collection()).delete({ ids: [idOf(key)] });
  }

  /** Closes the lake; the next call opens it again. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    await (await opening)?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #collection(): Promise<Collection> {
    this.#opening ??= open(this.#path);
    try {
      return (await this.#opening).collection;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }
}

function open(path: string) {
  return openCollection<Record<string, unknown>>(
    path,
    { dimensions: 1, index: "FlatF32Index" },
    "create",
    "LakeConversations",
  );
}

/** Keys hold ids of threads, which may be of any length. */
function idOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
