import {
  createMemory,
  DocStoreStrategy,
  Document,
  getResponseSynthesizer,
  IngestionPipeline,
  type NodeWithScore,
  SentenceSplitter,
  SimpleDocumentStore,
  storageContextFromDefaults,
  type TextNode,
  VectorStoreIndex,
  vectorBlock,
} from "llamaindex";
import { RuLakeVectorStore } from "rulake/llamaindex";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CannedLLM, WordEmbedding } from "./llamaindex-fixtures.js";
import { scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const embedModel = new WordEmbedding();
const text = (found: NodeWithScore | undefined) => (found?.node as TextNode | undefined)?.text;

const manual = (version = "ninety") =>
  new Document({
    id_: "manual",
    text: `The signing keys are rotated every ${version} days.`,
    metadata: { lang: "en" },
  });
const cookbook = () =>
  new Document({ id_: "cookbook", text: "Rye bread is baked for an hour.", metadata: { lang: "de" } });

describe("LlamaIndex around the store", () => {
  let store: RuLakeVectorStore;

  beforeEach(async () => {
    store = await RuLakeVectorStore.open({ memory: true }, { embedModel });
  });

  afterEach(() => store.close());

  describe("an index", () => {
    it("is filled, asked, and found again after reopening", async () => {
      const path = `${scratch()}/docs`;
      const first = await RuLakeVectorStore.open(path, { embedModel });
      const storageContext = await storageContextFromDefaults({ vectorStore: first });
      await VectorStoreIndex.fromDocuments([manual(), cookbook()], { storageContext });
      expect(first.size).toBe(2);
      await first.close();

      const second = await RuLakeVectorStore.open(path, { embedModel });
      const index = await VectorStoreIndex.fromVectorStore(second);
      const [best] = await index
        .asRetriever({ similarityTopK: 1 })
        .retrieve({ query: "how often are keys rotated?" });
      expect(text(best)).toContain("ninety");
      expect(best?.node.sourceNode?.nodeId).toBe("manual");
      expect(best?.score).toBeGreaterThan(0.3);
      await second.close();
    });

    it("inserts, filters and deletes documents", async () => {
      const index = await VectorStoreIndex.fromVectorStore(store);
      await index.insert(manual());
      await index.insert(cookbook());
      const filters = { filters: [{ key: "lang", value: "de", operator: "==" as const }] };
      const german = await index
        .asRetriever({ similarityTopK: 5, filters })
        .retrieve({ query: "signing keys" });
      expect(german.map((found) => found.node.sourceNode?.nodeId)).toEqual(["cookbook"]);
      const custom = { customParams: { filter: { lang: { $ne: "de" } } }, similarityTopK: 5 };
      expect(await index.asRetriever(custom).retrieve({ query: "bread" })).toHaveLength(1);
      await index.deleteRefDoc("manual", false);
      expect(store.size).toBe(1);
    });

    it("answers through a query engine, with sources", async () => {
      const index = await VectorStoreIndex.fromVectorStore(store);
      await index.insert(manual());
      const responseSynthesizer = getResponseSynthesizer("compact", {
        llm: new CannedLLM("every ninety days"),
      });
      const engine = index.asQueryEngine({ responseSynthesizer, similarityTopK: 1 });
      const { message, sourceNodes } = await engine.query({ query: "how often?" });
      expect(message.content).toBe("every ninety days");
      expect(sourceNodes?.map((found) => found.node.sourceNode?.nodeId)).toEqual(["manual"]);
    });
  });

  describe("an ingestion pipeline", () => {
    const pipeline = (docStore: SimpleDocumentStore, docStoreStrategy: DocStoreStrategy) =>
      new IngestionPipeline({
        transformations: [new SentenceSplitter({ chunkSize: 64, chunkOverlap: 0 }), embedModel],
        vectorStore: store,
        docStore,
        docStoreStrategy,
        disableCache: true,
      });
    const stored = async () => {
      const { nodes = [] } = await store.query({
        queryEmbedding: await embedModel.getTextEmbedding("signing keys bread"),
        similarityTopK: 100,
        mode: "default" as never,
      });
      return nodes.map((node) => (node as TextNode).text).sort();
    };
    const ninety = "The signing keys are rotated every ninety days.";
    const thirty = "The signing keys are rotated every thirty days.";
    const bread = "Rye bread is baked for an hour.";

    it("replaces changed documents", async () => {
      const upserting = pipeline(new SimpleDocumentStore(), DocStoreStrategy.UPSERTS);
      await upserting.run({ documents: [manual(), cookbook()] });
      expect(await stored()).toEqual([bread, ninety]);
      await upserting.run({ documents: [manual(), cookbook()] });
      expect(await stored()).toEqual([bread, ninety]);
      await upserting.run({ documents: [manual("thirty")] });
      expect(await stored()).toEqual([bread, thirty]);
    });

    it("deletes documents that are gone", async () => {
      const mirroring = pipeline(new SimpleDocumentStore(), DocStoreStrategy.UPSERTS_AND_DELETE);
      await mirroring.run({ documents: [manual(), cookbook()] });
      await mirroring.run({ documents: [cookbook()] });
      expect(await stored()).toEqual([bread]);
    });

    it("skips duplicates", async () => {
      const skipping = pipeline(new SimpleDocumentStore(), DocStoreStrategy.DUPLICATES_ONLY);
      await skipping.run({ documents: [manual()] });
      await skipping.run({ documents: [manual()] });
      expect(await stored()).toEqual([ninety]);
    });

    it("stores documents that were not split, and replaces them", async () => {
      const whole = new IngestionPipeline({
        transformations: [embedModel],
        vectorStore: store,
        docStore: new SimpleDocumentStore(),
        docStoreStrategy: DocStoreStrategy.UPSERTS,
        disableCache: true,
      });
      await whole.run({ documents: [manual()] });
      await whole.run({ documents: [manual("thirty")] });
      expect(await stored()).toEqual([thirty]);
      expect((await store.getNodes(["manual"]))[0]).toBeInstanceOf(Document);
    });
  });

  it("remembers messages of a session", async () => {
    const options = { vectorStore: store, retrievalContextWindow: 1, priority: 1 };
    const block = vectorBlock({ ...options, id: "session-1" });
    const other = vectorBlock({ ...options, id: "session-2" });
    await block.put([{ id: "1", role: "user", content: "my signing key is blue" }]);
    await other.put([{ id: "2", role: "user", content: "my signing key is red" }]);
    const remembered = await block.get([{ id: "3", role: "user", content: "which signing key?" }]);
    expect(JSON.stringify(remembered)).toContain("blue");
    expect(JSON.stringify(remembered)).not.toContain("red");
    expect(createMemory({ memoryBlocks: [block] })).toBeDefined();
  });
});
