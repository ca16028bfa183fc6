import { type ChatMessage, type ChatResponseChunk, type LLMMetadata, ToolCallLLM } from "llamaindex";
import { A2APeers } from "rulake/agents";
import { a2aTool, a2aTools } from "rulake/llamaindex";
import { describe, expect, it } from "vitest";
import { connect, painter, served } from "./served-agent.js";

type Turn = string | { name: string; input: object };

/** A model that says what the test wrote for it, turn by turn: LlamaIndex' own mock asks for its tool for ever. */
class ScriptedLLM extends ToolCallLLM {
  supportToolCall = true;
  /** What it was told, turn by turn. */
  readonly heard: ChatMessage[][] = [];
  readonly #turns: Turn[];

  constructor(turns: Turn[]) {
    super();
    this.#turns = turns;
  }

  get metadata(): LLMMetadata {
    return {
      model: "scripted",
      temperature: 0,
      topP: 1,
      contextWindow: 8_000,
      tokenizer: undefined,
      structuredOutput: false,
    };
  }

  // biome-ignore lint/suspicious/noExplicitAny: the method is overloaded by whether it streams
  async chat({ messages, stream }: { messages: ChatMessage[]; stream?: boolean }): Promise<any> {
    this.heard.push([...messages]);
    const turn = this.#turns.shift() ?? "nothing more to say";
    const chunk: ChatResponseChunk = { raw: null, delta: typeof turn === "string" ? turn : "" };
    if (typeof turn === "object") {
      chunk.options = { toolCall: [{ ...turn, id: `call-${this.#turns.length}` }] };
    }
    if (!stream)
      return { raw: null, message: { role: "assistant", content: chunk.delta, options: chunk.options } };
    return (async function* () {
      yield chunk;
    })();
  }
}

const workflow = async () => (await import("@llamaindex/workflow")).agent;

describe("an agent of LlamaIndex", () => {
  it("completes a task of a real peer that asks back twice", async () => {
    const { url, server } = await served(painter);
    const states: (string | undefined)[] = [];
    const tool = a2aTool(await connect(url), { onEvent: ({ type, state }) => states.push(state ?? type) });
    const { name } = tool.metadata;
    const llm = new ScriptedLLM([
      { name, input: { message: "a house" } },
      { name, input: { message: "blue" } },
      { name, input: { message: "huge" } },
      "It is painted.",
    ]);
    const agent = await workflow();
    const { data } = await agent({ llm, tools: [tool] }).run("paint a house");
    expect(data.result).toBe("It is painted.");
    const heard = JSON.stringify(llm.heard.at(-1));
    for (const text of ["which colour?", "how large?", "painted a house blue and huge"])
      expect(heard).toContain(text);
    expect(server.taskCount).toBe(1);
    expect(states.filter((state) => state === "input-required")).toHaveLength(2);
    expect(states.at(-1)).toBe("completed");
  });
});

describe("the tool", () => {
  it("keeps chats apart, stops by signal, and says what went wrong", async () => {
    const contexts: string[] = [];
    const { url } = await served(async ({ contextId, text, signal }) => {
      contexts.push(contextId);
      if (text === "wait") await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return "ok";
    });
    const peer = await connect(url);
    const one = a2aTool(peer, { threadId: "1" });
    const two = a2aTool(peer, { threadId: "2" });
    for (const tool of [one, one, two]) expect(await tool.call({ message: "go" })).toContain("ok");
    expect(contexts[1]).toBe(contexts[0]);
    expect(contexts[2]).not.toBe(contexts[0]);
    const stopping = a2aTool(peer, { signal: AbortSignal.timeout(100) });
    await expect(stopping.call({ message: "wait" })).rejects.toMatchObject({ name: "TimeoutError" });
    await peer.close();
    expect(await one.call({ message: "go" })).toContain("CLOSED");
  });

  it("is one for every peer, for every skill, or for all", async () => {
    const skills = ["add", "draw"].map((id) => ({ id, description: `can ${id}` }));
    const { url } = await served({
      card: { name: "Helper", description: "1", skills },
      handler: ({ skill }) => `did ${skill}`,
    });
    const peers = new A2APeers([await connect(url)]);
    const names = (per: "peer" | "skill" | "router") =>
      a2aTools(peers, { per }).map(({ metadata }) => metadata.name);
    expect([names("peer"), names("skill"), names("router")]).toEqual([
      ["ask_helper"],
      ["helper_add", "helper_draw"],
      ["ask_remote_agent"],
    ]);
    const [, draw] = a2aTools(peers, { per: "skill" });
    expect(await draw?.call({ message: "go" })).toContain("did draw");
    expect(() => a2aTool(peers, { onEvnt: () => {} } as never)).toThrow(
      expect.objectContaining({ code: "UNKNOWN_OPTION" }),
    );
  });
});
