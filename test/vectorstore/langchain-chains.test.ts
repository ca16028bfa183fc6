import { Document } from "@langchain/core/documents";
import { index } from "@langchain/core/indexing";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda, RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import type { VectorStore } from "@langchain/core/vectorstores";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { RuLakeVectorStore } from "rulake/langchain";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryRecordManager, WordEmbeddings } from "./langchain-fixtures.js";

const texts = [
  "The signing keys are rotated every ninety days.",
  "The signing keys are rotated every ninety days by cron.",
  "Rye bread is baked at two hundred degrees.",
  "The office closes at six.",
];

describe("LangChain around the store", () => {
  let store: RuLakeVectorStore<{ source: string }>;

  beforeEach(async () => {
    const metadatas = texts.map((_, i) => ({ source: `${i}.md` }));
    store = await RuLakeVectorStore.fromTexts(texts, metadatas, new WordEmbeddings(), {
      path: { memory: true },
    });
  });

  afterEach(() => store.close());

  it("retrieves in a chain", async () => {
    const model = new FakeListChatModel({ responses: ["every ninety days"] });
    let prompted = "";
    const chain = RunnableSequence.from([
      {
        context: store.asRetriever({ k: 1, filter: { source: { $ne: "1.md" } } }).pipe((found) => {
          return found.map((document) => document.pageContent).join("\n");
        }),
        question: new RunnablePassthrough(),
      },
      ChatPromptTemplate.fromTemplate("Context: {context}\nQuestion: {question}"),
      RunnableLambda.from((prompt: { toString(): string }) => {
        prompted = prompt.toString();
        return prompted;
      }),
      model,
      new StringOutputParser(),
    ]);
    expect(await chain.invoke("how often are signing keys rotated?")).toBe("every ninety days");
    expect(prompted).toContain(`Context: ${texts[0]}\n`);
    expect(prompted).not.toContain("bread");
  });

  it("retrieves batches, with the framework's callbacks", async () => {
    const retriever = store.asRetriever({ k: 1, tags: ["mine"] });
    const runs: { tags: string[] | undefined; found: number }[] = [];
    let tags: string[] | undefined;
    const callbacks = [
      {
        handleRetrieverStart: (...args: unknown[]) => {
          tags = args[4] as string[];
        },
        handleRetrieverEnd: (found: unknown[]) => {
          runs.push({ tags, found: found.length });
        },
      },
    ];
    const found = await retriever.batch(["rye bread", "the office"], { callbacks });
    expect(found.map((documents) => documents[0]?.metadata.source)).toEqual(["2.md", "3.md"]);
    expect(runs).toHaveLength(2);
    expect(runs[0]).toEqual({ tags: expect.arrayContaining(["mine", "rulake"]), found: 1 });
  });

  it("retrieves with variety, filters and a lowest score", async () => {
    const varied = store.asRetriever({ k: 2, searchType: "mmr", searchKwargs: { fetchK: 4, lambda: 0.2 } });
    expect((await varied.invoke("signing keys rotated")).map((found) => found.metadata.source)).not.toContain(
      "1.md",
    );
    const filtered = store.asRetriever(4, (document) => document.metadata.source === "3.md");
    expect(await filtered.invoke("signing keys")).toHaveLength(1);
    const strict = store.asRetriever({ k: 4, minScore: 0.5 });
    expect(await strict.invoke("the signing keys are rotated every ninety days")).toHaveLength(2);
    expect(await strict.invoke("zebra")).toEqual([]);
  });

  it("serves a threshold retriever, which asks for ever more until scores fall below", async () => {
    // As @langchain/classic's ScoreThresholdRetriever does.
    const vectorStore: VectorStore = store;
    const minSimilarity = 0.5;
    let k = 0;
    let filtered: [Document, number][] = [];
    do {
      k += 1;
      const results = (await vectorStore.similaritySearchWithScore(
        "the signing keys are rotated",
        k,
      )) as typeof filtered;
      filtered = results.filter(([, score]) => score >= minSimilarity);
    } while (filtered.length >= k && k < 100);
    expect(filtered.map(([document]) => document.metadata.source)).toEqual(["0.md", "1.md"]);
  });

  it("takes split documents, and the retriever adds more", async () => {
    const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 40, chunkOverlap: 0 });
    const chunks = await splitter.createDocuments([texts.join(" ")], [{ source: "all.md" }]);
    const retriever = store.asRetriever(1, { source: "all.md" });
    const ids = await retriever.addDocuments(chunks);
    expect(ids).toHaveLength(chunks.length);
    const [found] = await retriever.invoke("rye bread is baked");
    expect(found?.metadata).toMatchObject({ source: "all.md", loc: { lines: { from: 1, to: 1 } } });
    expect(await store.count({ "loc.lines.from": 1 } as never)).toBe(chunks.length);
  });

  describe("index()", () => {
    const manual = (version: number, ...pages: string[]) =>
      pages.map((pageContent) => new Document({ pageContent, metadata: { source: "manual", version } }));
    let target: RuLakeVectorStore;
    let recordManager: MemoryRecordManager;

    beforeEach(async () => {
      target = await RuLakeVectorStore.open({ memory: true }, new WordEmbeddings());
      recordManager = new MemoryRecordManager();
    });

    afterEach(() => target.close());

    const run = (docsSource: Document[], cleanup?: "full" | "incremental") => {
      const options = { sourceIdKey: "source", ...(cleanup && { cleanup }) };
      return index({ docsSource, recordManager, vectorStore: target, options });
    };

    it("skips what is known and deletes what is gone", async () => {
      expect(await run(manual(1, "one", "two", "three"), "full")).toMatchObject({
        numAdded: 3,
        numDeleted: 0,
      });
      expect(await target.count()).toBe(3);
      expect(await run(manual(1, "one", "two", "three"), "full")).toMatchObject({
        numAdded: 0,
        numSkipped: 3,
      });
      expect(await run(manual(1, "one", "four"), "full")).toMatchObject({
        numAdded: 1,
        numDeleted: 2,
        numSkipped: 1,
      });
      const left = await target.similaritySearch("one two three four", 10);
      expect(left.map((document) => document.pageContent).sort()).toEqual(["four", "one"]);
    });

    it("replaces pages of a source", async () => {
      await run(manual(1, "one", "two"), "incremental");
      await run(manual(2, "two, revised"), "incremental");
      const left = await target.similaritySearch("one two", 10);
      expect(left.map(({ pageContent, metadata }) => [pageContent, metadata.version])).toEqual([
        ["two, revised", 2],
      ]);
    });

    it("uses its own ids", async () => {
      const documents = manual(1, "one").map((document) => ({ ...document, id: "not this" }));
      await run(documents as Document[]);
      expect(await target.getByIds(["not this"])).toEqual([]);
      const keys = await recordManager.listKeys();
      expect((await target.getByIds(keys)).map((document) => document.pageContent)).toEqual(["one"]);
    });
  });
});
