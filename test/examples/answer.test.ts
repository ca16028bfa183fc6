import { Document } from "@langchain/core/documents";
import { BaseRetriever } from "@langchain/core/retrievers";
import { FakeListChatModel, FakeStreamingChatModel } from "@langchain/core/utils/testing";
import { describe, expect, it } from "vitest";
import { answerChain } from "../../examples/00-ask-the-docs/answer.mjs";
import type { Place } from "../../examples/00-ask-the-docs/passages.mjs";

function passage(source: string, body: string): Document<Place> {
  const headings = [source];
  return new Document({
    pageContent: `${source}\n\n${body}`,
    metadata: { source, file: "", part: 0, parts: 1, from: 3, to: 5, headings },
  });
}

const passages = [
  passage(
    "keys.md",
    "Run the rotate command to get a new key. However, the old key stays valid.\n\n```sh\nrotate\n```",
  ),
  passage("backups.md", "A backup is taken every single night. Keys are not part of it."),
];

class Passages extends BaseRetriever<Place> {
  lc_namespace = ["test"];
  override async _getRelevantDocuments() {
    return passages;
  }
}

/** Vectors that count words, of length 1: texts with the same words are near. */
const words = ["rotate", "key", "new", "old", "valid", "backup", "night", "is", "how"];
const vector = (text: string) => {
  const counts = words.map((word) => text.toLowerCase().split(word).length - 1);
  const length = Math.hypot(...counts) || 1;
  return counts.map((count) => count / length);
};
const embeddings = {
  embedQuery: async (text: string) => vector(text),
  embedDocuments: async (texts: string[]) => texts.map(vector),
};

function chain(model: FakeListChatModel | FakeStreamingChatModel | undefined) {
  const errors: string[] = [];
  const onModelError = (error: string) => errors.push(error);
  return { errors, chain: answerChain({ retriever: new Passages(), embeddings, model, onModelError }) };
}

describe("answerChain", () => {
  it("quotes the nearest sentence, the one it leans on, and the code after it", async () => {
    const { answer } = await chain(undefined).chain.invoke("Is the old key valid?");
    expect(answer).toBe(
      "Run the rotate command to get a new key. However, the old key stays valid. [1]\n\n```\nrotate\n```",
    );
  });

  it("says when nothing is near, and still shows what is nearest", async () => {
    const { answer } = await chain(undefined).chain.invoke("What about lunch?");
    expect(answer).toMatch(
      /^Nothing in the documentation answers this directly\. Nearest to it:\n\n.+\[\d\]$/,
    );
  });

  it("streams what a chat model writes from the numbered passages", async () => {
    const model = new FakeListChatModel({ responses: ["Run rotate [1]."] });
    const prompts: string[] = [];
    const generate = model._streamResponseChunks.bind(model);
    model._streamResponseChunks = (messages, ...rest) => {
      prompts.push(messages.map(({ content }) => content).join("\n"));
      return generate(messages, ...rest);
    };
    const parts: string[] = [];
    for await (const part of await chain(model).chain.stream("How do I rotate?")) {
      if (part.answer) parts.push(part.answer);
    }
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.join("")).toBe("Run rotate [1].");
    expect(prompts[0]).toContain("[1] keys.md:3\nkeys.md\n\nRun the rotate command");
    expect(prompts[0]).toContain("[2] backups.md:3");
    expect(prompts[0]).toContain("Question: How do I rotate?");
  });

  it("quotes when the model fails, and tells in one line why", async () => {
    const model = new FakeStreamingChatModel({ thrownErrorString: "no such model" });
    const { chain: failing, errors } = chain(model);
    const { answer } = await failing.invoke("Is the old key valid?");
    expect(answer).toContain("the old key stays valid. [1]");
    expect(errors).toEqual(["no such model"]);
  });
});
