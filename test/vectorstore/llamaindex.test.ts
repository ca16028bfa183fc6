import {
  type BaseNode,
  Document,
  IndexNode,
  NodeRelationship,
  SentenceSplitter,
  Settings,
  TextNode,
  VectorStoreIndex,
  VectorStoreQueryMode,
} from "llamaindex";
import { RuLakeError } from "rulake";
import { RuLakeVectorStore as LangChainStore } from "rulake/langchain";
import { RuLakeVectorStore } from "rulake/llamaindex";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WordEmbeddings } from "./langchain-fixtures.js";
import { WordEmbedding } from "./llamaindex-fixtures.js";
import { scratchDirectory } from "./scratch.js";
import { wordVector } from "./word-vectors.js";

const scratch = scratchDirectory();

async function failure(work: Promise<unknown>): Promise<RuLakeError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!RuLakeError.isInstance(error)) throw new Error(`expected a RuLakeError, got ${String(error)}`);
  return error;
}

function chunk(id: string, text: string, source: string | undefined, metadata: Record<string, unknown> = {}) {
  const relationships =
    source === undefined ? {} : { [NodeRelationship.SOURCE]: { nodeId: source, metadata: {} } };
  return new TextNode({ id_: id, text, metadata, relationships, embedding: wordVector(text) });
}

const question = (text: string, similarityTopK = 10) => ({
  queryEmbedding: wordVector(text),
  similarityTopK,
  mode: VectorStoreQueryMode.DEFAULT,
});

const withoutEmbedding = ({ embedding: _, ...json }: Record<string, unknown>) =>
  JSON.parse(JSON.stringify(json));

const embedModel = new WordEmbedding();

// First in this file: the settings are the process's.
describe("Settings.embedModel", () => {
  it("is missing at the start, which open says", async () => {
    expect(() => Settings.embedModel).toThrow();
    const error = await failure(RuLakeVectorStore.open({ memory: true }));
    expect(error.code).toBe("EMBED_MODEL_MISSING");
    expect(error.hint).toContain("OnnxEmbedding");
  });

  it("is set by the first store that has a model, and by no other", async () => {
    const first = await RuLakeVectorStore.open({ memory: true }, { embedModel });
    expect(Settings.embedModel).toBe(embedModel);
    const other = new WordEmbedding();
    const second = await RuLakeVectorStore.open({ memory: true }, { embedModel: other });
    expect(Settings.embedModel).toBe(embedModel);
    expect(second.embedModel).toBe(other);
    await first.close();
    await second.close();
  });
});

describe("RuLakeVectorStore for LlamaIndex", () => {
  let store: RuLakeVectorStore;

  beforeEach(async () => {
    store = await RuLakeVectorStore.open({ memory: true }, { embedModel });
  });

  afterEach(() => store.close());

  const nodes = () => [
    chunk("1a", "rotate the signing keys", "manual"),
    chunk("1b", "keys are kept in a vault", "manual"),
    chunk("2a", "bake rye bread", "cookbook"),
    chunk("3", "a note without a source", undefined),
  ];

  describe("nodes", () => {
    it("come back identical, of their own class, with relationships", async () => {
      const document = new Document({
        id_: "doc",
        text: "One sentence here. Another one there.",
        metadata: { page: 3, tags: ["a"] },
      });
      const splitter = new SentenceSplitter({ chunkSize: 30, chunkOverlap: 0 });
      const parsed: BaseNode[] = splitter.getNodesFromDocuments([document]);
      const special: BaseNode[] = [
        document,
        new IndexNode({ id_: "index", text: "points elsewhere", indexId: "elsewhere" }),
        new TextNode({
          id_: "full",
          text: "everything set",
          textTemplate: "{content}",
          metadataSeparator: " | ",
          startCharIdx: 5,
          endCharIdx: 9,
          excludedEmbedMetadataKeys: ["secret"],
          excludedLlmMetadataKeys: ["long"],
          metadata: { secret: 1, doc_id: "my own", ref_doc_id: 2, nested: { deep: [null, { a: 1 }] } },
          relationships: {
            [NodeRelationship.SOURCE]: { nodeId: "doc", hash: "h", metadata: { a: 1 } },
            [NodeRelationship.CHILD]: [{ nodeId: "c1", metadata: {} }],
          },
        }),
      ];
      const all = [...parsed, ...special];
      expect(parsed.length).toBeGreaterThan(0);
      for (const node of all) node.embedding = wordVector(node.getContent("NONE" as never));
      const expected = all.map((node) => withoutEmbedding(node.toJSON()));
      await store.add(all);
      const found = await store.query(question("sentence", 20));
      expect(found.nodes).toHaveLength(all.length);
      for (const [i, node] of (await store.getNodes(all.map((one) => one.id_))).entries()) {
        expect(withoutEmbedding(node.toJSON())).toEqual(expected[i]);
        expect(node.constructor).toBe(all[i]?.constructor);
        expect(node.embedding).toBeUndefined();
        expect(node.hash).toBe(all[i]?.hash);
        expect(node.sourceNode).toEqual(all[i]?.sourceNode);
      }
    });

    it("keep a position of 0, and with it their hash", async () => {
      const node = chunk("zero", "starts at zero", "doc");
      Object.assign(node, { startCharIdx: 0, endCharIdx: 0 });
      const { hash } = node;
      await store.add([node]);
      const [found] = await store.getNodes(["zero"]);
      expect(found).toMatchObject({ startCharIdx: 0, endCharIdx: 0, hash });
    });

    it("keep halves of surrogate pairs, which splitters leave", async () => {
      const text = "cut \ud83d";
      await store.add([chunk("half", text, "doc")]);
      const [found] = await store.getNodes(["half"]);
      expect((found as TextNode).text).toBe(text);
    });

    it("keep their metadata without a source node", async () => {
      await store.add([chunk("lone", "alone", undefined, { kind: "note" })]);
      const filters = { filters: [{ key: "kind", value: "note", operator: "==" as const }] };
      const { nodes: found } = await store.query({ ...question("alone"), filters });
      expect(found?.[0]?.metadata).toEqual({ kind: "note" });
    });

    it("are not changed by adding", async () => {
      const [node] = nodes() as [TextNode];
      const before = JSON.stringify(node.toJSON());
      await store.add([node]);
      expect(JSON.stringify(node.toJSON())).toBe(before);
    });

    it("come with vectors when asked for", async () => {
      await store.add(nodes());
      const [node] = await store.getNodes(["2a"], { embeddings: true });
      expect(node?.getEmbedding()).toEqual(wordVector("bake rye bread"));
    });

    it("without embeddings are refused, naming one", async () => {
      const error = await failure(
        store.add([chunk("ok", "ok", "d"), new TextNode({ id_: "bare", text: "x" })]),
      );
      expect(error.code).toBe("EMBEDDING_MISSING");
      expect(error.context.id).toBe("bare");
      expect(await store.count()).toBe(0);
    });

    it("are added by the thousand, and the event loop goes on", async () => {
      const many = Array.from({ length: 3500 }, (_, i) => {
        return new TextNode({ id_: `${i}`, text: `${i}`, embedding: [1, i / 3500] });
      });
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      expect(await store.add(many)).toEqual(many.map((node) => node.id_));
      clearInterval(timer);
      expect(turns).toBeGreaterThan(1);
      expect(store.size).toBe(3500);
      const { ids } = await store.query({ ...question(""), queryEmbedding: [1, 0], similarityTopK: 2 });
      expect(ids).toEqual(["0", "1"]);
    });
  });

  describe("deleting", () => {
    beforeEach(async () => {
      await store.add(nodes());
    });

    it("removes the nodes of a source document, not of node ids", async () => {
      await store.delete("manual");
      expect(await store.getNodes(["1a", "1b"])).toEqual([]);
      await store.delete("2a");
      await store.delete("nobody");
      expect(await store.count()).toBe(2);
    });

    it("removes a node without a source by its own id", async () => {
      await store.delete("3");
      expect(await store.count()).toBe(3);
    });

    it("removes nodes by their ids, or all", async () => {
      await store.deleteNodes(["1a", "nobody"]);
      expect(await store.count()).toBe(3);
      await store.clear();
      expect(store.size).toBe(0);
    });
  });

  describe("queries", () => {
    beforeEach(async () => {
      await store.add(nodes());
    });

    it("answer with aligned nodes, similarities and ids", async () => {
      const { nodes: found, similarities, ids } = await store.query(question("rotate the signing keys", 2));
      expect(ids).toEqual(["1a", "1b"]);
      expect(found?.map((node) => node.id_)).toEqual(ids);
      expect(similarities[0]).toBe(1);
      expect(similarities[1]).toBeLessThan(1);
    });

    it("stay within documents", async () => {
      expect((await store.query({ ...question("keys"), docIds: ["cookbook", "nobody"] })).ids).toEqual([
        "2a",
      ]);
      expect((await store.query({ ...question("keys"), docIds: ["3"] })).ids).toEqual(["3"]);
      expect((await store.query({ ...question("keys"), docIds: [] })).ids).toEqual([]);
    });

    it("answer with variety", async () => {
      await store.add([chunk("1c", "rotate the signing keys", "copy")]);
      const query = { ...question("rotate the signing keys", 2), mode: VectorStoreQueryMode.MMR };
      const { ids, similarities } = await store.query({ ...query, mmrThreshold: 0.3 });
      expect(ids[0]).toBe("1a");
      expect(ids[1]).not.toBe("1c");
      expect(similarities[0]).toBe(1);
      expect((await store.query({ ...query, mmrThreshold: 1 })).ids).toEqual(["1a", "1c"]);
      const filters = { filters: [{ key: "doc_id", value: "copy", operator: "==" as const }] };
      expect((await store.query({ ...query, filters })).ids).toEqual(["1c"]);
    });

    it("take the lake's own filters and options in customParams", async () => {
      const custom = (customParams: object) => store.query({ ...question("signing keys"), customParams });
      expect((await custom({ filter: { $not: { $id: "1a" } } })).ids).not.toContain("1a");
      expect((await custom({ minScore: 0.99 })).ids).toEqual([]);
      const error = await failure(custom({ minscore: 1 }));
      expect(error.message).toContain("did you mean 'minScore'?");
      const reason = new Error("enough");
      await expect(custom({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    });

    it.each(["sparse", "hybrid", "svm", "semantic_hybrid", "nonsense"])(
      "in mode %s are refused",
      async (mode) => {
        const error = await failure(store.query({ ...question("keys"), mode: mode as VectorStoreQueryMode }));
        expect(error.code).toBe("UNSUPPORTED_QUERY_MODE");
        expect(error.hint).toContain("default, mmr");
      },
    );

    it("without an embedding are refused", async () => {
      const query = { queryStr: "keys", similarityTopK: 1, mode: VectorStoreQueryMode.DEFAULT };
      expect((await failure(store.query(query))).code).toBe("QUERY_EMBEDDING_MISSING");
      expect((await failure(store.query(undefined as never))).code).toBe("INVALID_ARGUMENT");
    });
  });

  describe("opening", () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);

    beforeEach(() => {
      process.on("warning", listen);
    });

    afterEach(() => {
      process.off("warning", listen);
      warnings.length = 0;
    });

    it("warns when the index would embed questions with another model", async () => {
      class Another extends WordEmbedding {}
      const second = await RuLakeVectorStore.open({ memory: true }, { embedModel: new Another() });
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings).toEqual([expect.objectContaining({ code: "RULAKE_EMBED_MODEL" })]);
      await second.close();
    });

    it("does not warn of another model of the same kind", async () => {
      const second = await RuLakeVectorStore.open({ memory: true }, { embedModel: new WordEmbedding() });
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings).toEqual([]);
      await second.close();
    });

    it("uses Settings.embedModel when none is given", async () => {
      const second = await RuLakeVectorStore.open({ memory: true });
      expect(second.embedModel).toBe(embedModel);
      await second.close();
    });

    it("refuses a collection filled with another model, by name", async () => {
      const path = `${scratch()}/docs`;
      const first = await RuLakeVectorStore.open(path, { embedModel });
      await first.add(nodes());
      await first.close();
      class Wider extends WordEmbedding {
        override embedInfo = { dimensions: 100 };
      }
      const error = await failure(RuLakeVectorStore.open(path, { embedModel: new Wider() }));
      expect(error.code).toBe("DIMENSION_MISMATCH");
      expect(error.message).toContain("100");
      const again = await RuLakeVectorStore.open(path, { embedModel });
      expect(again.size).toBe(4);
      await again.close();
    });

    it("refuses options that do not exist", async () => {
      const error = await failure(
        RuLakeVectorStore.open({ memory: true }, { embedmodel: embedModel } as never),
      );
      expect(error.message).toContain("did you mean 'embedModel'?");
      const Constructor = RuLakeVectorStore as unknown as new (model: WordEmbedding) => unknown;
      expect(() => new Constructor(embedModel)).toThrow(expect.objectContaining({ code: "USE_OPEN" }));
    });
  });

  it("reads what LangChain wrote, and the reverse", async () => {
    const path = `${scratch()}/docs`;
    const there = await LangChainStore.fromTexts(["a fish"], { lang: "en" }, new WordEmbeddings(), {
      path,
      ids: ["f"],
    });
    const here = await RuLakeVectorStore.open(path, { embedModel });
    const { nodes: found } = await here.query(question("fish"));
    expect(found?.[0]).toBeInstanceOf(TextNode);
    expect(found?.[0]).toMatchObject({ id_: "f", text: "a fish", metadata: { lang: "en" } });
    await here.add([chunk("n", "rye bread", "cookbook", { lang: "de" })]);
    const [document] = await there.similaritySearch("rye bread", 1, { lang: "de" });
    expect(document).toMatchObject({ id: "n", pageContent: "rye bread", metadata: { lang: "de" } });
    await here.close();
    await there.close();
  });

  it("is a vector store of the framework's own class", async () => {
    const index = await VectorStoreIndex.fromVectorStore(store);
    expect(store.storesText).toBe(true);
    expect(index.vectorStores.TEXT).toBe(store);
    expect(store.client().size).toBe(0);
  });
});
