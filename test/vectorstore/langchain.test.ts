import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { Document, type DocumentInterface } from "@langchain/core/documents";
import { Embeddings } from "@langchain/core/embeddings";
import { RuLake, RuLakeError } from "rulake";
import { type AddProgress, RuLakeVectorStore } from "rulake/langchain";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConstantEmbeddings, WordEmbeddings } from "./langchain-fixtures.js";
import { scratchDirectory } from "./scratch.js";
import { WORD_DIMENSIONS, wordVector } from "./word-vectors.js";

const scratch = scratchDirectory();

interface Meta {
  lang: string;
  year: number;
}

const documents = [
  new Document<Meta>({
    id: "keys",
    pageContent: "rotate the signing keys",
    metadata: { lang: "en", year: 2020 },
  }),
  new Document<Meta>({
    id: "bread",
    pageContent: "bake bread with rye flour",
    metadata: { lang: "en", year: 2021 },
  }),
  new Document<Meta>({
    id: "brot",
    pageContent: "Brot backen mit Roggen",
    metadata: { lang: "de", year: 2022 },
  }),
  new Document<Meta>({ id: "again", pageContent: "rotate keys again", metadata: { lang: "en", year: 2023 } }),
];

const ids = (found: DocumentInterface[]) => found.map((document) => document.id);

async function failure(work: Promise<unknown>): Promise<RuLakeError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!RuLakeError.isInstance(error)) throw new Error(`expected a RuLakeError, got ${String(error)}`);
  return error;
}

describe("RuLakeVectorStore for LangChain", () => {
  let embeddings: WordEmbeddings;
  let store: RuLakeVectorStore<Meta>;

  beforeEach(async () => {
    embeddings = new WordEmbeddings();
    store = await RuLakeVectorStore.open<Meta>({ memory: true }, embeddings);
  });

  afterEach(() => store.close());

  describe("adding", () => {
    it("takes ids from the options, then from the document, then makes one", async () => {
      const plain = new Document<Meta>({ pageContent: "plain", metadata: { lang: "en", year: 1 } });
      const [first, second, third] = await store.addDocuments([...documents.slice(0, 2), plain], {
        ids: ["mine", undefined, undefined],
      });
      expect([first, second]).toEqual(["mine", "bread"]);
      expect(third).toMatch(/^[0-9a-f-]{36}$/);
      expect(ids(await store.getByIds(["mine", "keys", "bread", String(third)]))).toEqual([
        "mine",
        "bread",
        third,
      ]);
    });

    it("takes ids as an array", async () => {
      const given = ["1", "2", "3", "4"];
      expect(await store.addDocuments(documents, given)).toEqual(given);
      expect(await store.addVectors([wordVector("x")], [documents[0] as Document<Meta>], ["5"])).toEqual([
        "5",
      ]);
      expect(await store.count()).toBe(5);
    });

    it("returns documents of the framework's class, with their id", async () => {
      await store.addDocuments(documents);
      const [found] = await store.similaritySearch("signing", 1);
      expect(found).toBeInstanceOf(Document);
      expect(found).toEqual(documents[0]);
      expect(JSON.parse(JSON.stringify(found))).toEqual(JSON.parse(JSON.stringify(documents[0])));
    });

    it("does not change the documents it is given", async () => {
      const document = new Document<Meta>({ pageContent: "x", metadata: { lang: "en", year: 1 } });
      const before = JSON.stringify(document);
      await store.addDocuments([document]);
      expect(JSON.stringify(document)).toBe(before);
    });

    it("takes Float32Arrays", async () => {
      const vectors = documents.map((document) => Float32Array.from(wordVector(document.pageContent)));
      await store.addVectors(vectors, documents);
      expect(embeddings.batches).toEqual([]);
      const [[best, score]] = (await store.similaritySearchVectorWithScore(
        Float32Array.from(wordVector("rotate keys again")),
        1,
      )) as [[Document<Meta>, number]];
      expect([best.id, score]).toEqual(["again", 1]);
    });

    it("of nothing still finds the store closed", async () => {
      expect(await store.addDocuments([])).toEqual([]);
      await store.close();
      expect((await failure(store.addDocuments([]))).code).toBe("CLOSED");
    });

    it("refuses lists of different lengths, before anything is embedded", async () => {
      expect((await failure(store.addDocuments(documents, { ids: ["a"] }))).code).toBe("LENGTH_MISMATCH");
      expect((await failure(store.addVectors([[1, 2]], documents))).code).toBe("LENGTH_MISMATCH");
      expect(embeddings.batches).toEqual([]);
      expect(await store.count()).toBe(0);
    });

    it("refuses embeddings that lose texts", async () => {
      class Lossy extends WordEmbeddings {
        override async embedDocuments(texts: string[]): Promise<number[][]> {
          return (await super.embedDocuments(texts)).slice(1);
        }
      }
      class Silent extends WordEmbeddings {
        override async embedDocuments(): Promise<never> {
          return undefined as never;
        }
      }
      for (const model of [new Lossy(), new Silent()]) {
        const lossy = await RuLakeVectorStore.open<Meta>({ memory: true }, model);
        expect((await failure(lossy.addDocuments(documents))).code).toBe("LENGTH_MISMATCH");
        expect(await lossy.count()).toBe(0);
      }
    });

    it("embeds and stores batch by batch, and says how far it is", async () => {
      const many = Array.from(
        { length: 25 },
        (_, i) => new Document({ id: `${i}`, pageContent: `text ${i}` }),
      );
      const progress: AddProgress[] = [];
      const plain = await RuLakeVectorStore.open({ memory: true }, embeddings, { batchSize: 7 });
      await plain.addDocuments(many, { batchSize: 10, onProgress: (step) => progress.push(step) });
      expect(embeddings.batches).toEqual([10, 10, 5]);
      expect(progress).toEqual([10, 20, 25].map((done) => ({ phase: "add", done, total: 25 })));
      embeddings.batches.length = 0;
      await plain.addDocuments(many);
      expect(embeddings.batches).toEqual([7, 7, 7, 4]);
      expect(await plain.count()).toBe(25);
    });

    it("stops at a signal and keeps the batches before", async () => {
      const many = Array.from(
        { length: 30 },
        (_, i) => new Document<Meta>({ id: `${i}`, pageContent: `text ${i}` }),
      );
      const controller = new AbortController();
      const reason = new Error("enough");
      const adding = store.addDocuments(many, {
        batchSize: 10,
        signal: controller.signal,
        onProgress: () => controller.abort(reason),
      });
      await expect(adding).rejects.toBe(reason);
      const stored = await store.count();
      expect(stored % 10).toBe(0);
      expect(stored).toBeGreaterThanOrEqual(10);
      expect(stored).toBeLessThan(30);
      await expect(store.addDocuments(many, { signal: controller.signal })).rejects.toBe(reason);
    });

    it("does not fail for an exception of onProgress once everything is stored", async () => {
      const two = ["x", "y"].map((id) => new Document<Meta>({ id, pageContent: id }));
      const warned = new Promise<Error & { code?: string }>((done) => process.once("warning", done));
      const onProgress = () => {
        throw new Error("the bar broke");
      };
      await expect(store.addDocuments(two, { batchSize: 1, onProgress })).rejects.toThrow("the bar broke");
      expect(await store.addDocuments(two, { onProgress })).toEqual(["x", "y"]);
      expect((await warned).code).toBe("RULAKE_PROGRESS");
    });

    it("says how many documents are stored when a later one is refused", async () => {
      const many = Array.from(
        { length: 30 },
        (_, i) => new Document({ id: `${i}`, pageContent: `text ${i}` }),
      );
      const vectors = many.map((_, i) => [1, i === 25 ? Number.NaN : i]);
      const plain = await RuLakeVectorStore.open({ memory: true }, embeddings, { batchSize: 10 });
      const error = await failure(plain.addVectors(vectors, many));
      expect([error.code, error.context.committed]).toEqual(["NOT_FINITE", 20]);
      expect(await plain.count()).toBe(20);
      await plain.close();
    });

    it("keeps the batches before one that cannot be embedded, and passes the error on", async () => {
      const broken = new Error("the model is gone");
      class Breaking extends WordEmbeddings {
        override async embedDocuments(texts: string[]): Promise<number[][]> {
          if (texts.includes("text 25")) throw broken;
          return super.embedDocuments(texts);
        }
      }
      const breaking = await RuLakeVectorStore.open({ memory: true }, new Breaking());
      const many = Array.from(
        { length: 30 },
        (_, i) => new Document({ id: `${i}`, pageContent: `text ${i}` }),
      );
      await expect(breaking.addDocuments(many, { batchSize: 10 })).rejects.toBe(broken);
      expect(await breaking.count()).toBe(20);
      await breaking.close();
    });
  });

  describe("deleting", () => {
    beforeEach(async () => {
      await store.addDocuments(documents);
    });

    it.each([
      ["ids", { ids: ["keys", "nobody"] }, ["again", "bread", "brot"]],
      ["no ids", { ids: [] }, ["again", "bread", "brot", "keys"]],
      ["a filter", { filter: { lang: "en" } }, ["brot"]],
      ["a function", { filter: (document: Document<Meta>) => document.metadata.year > 2020 }, ["keys"]],
      ["all", { all: true } as const, []],
      ["deleteAll", { deleteAll: true } as const, []],
    ])("by %s", async (_, selection, left) => {
      await store.delete(selection);
      expect(ids(await store.similaritySearch("rotate keys bread", 10)).sort()).toEqual(left);
      expect(await store.count()).toBe(left.length);
    });

    it.each([
      undefined,
      {},
      { all: false },
      { ids: undefined },
      { ids: ["a"], all: true },
      { filter: {}, ids: [] },
    ])("refuses %j, and says what to give", async (selection) => {
      const error = await failure(store.delete(selection as never));
      expect(error.code).toBe("INVALID_SELECTION");
      expect(error.hint).toContain("{ ids: [...] }");
      expect(await store.count()).toBe(4);
    });

    it("refuses names that do not exist", async () => {
      const error = await failure(store.delete({ id: ["keys"] } as never));
      expect(error.message).toContain("did you mean 'ids'?");
      expect((await failure(store.delete({ ids: "keys" } as never))).code).toBe("INVALID_OPTION");
      expect(await store.count()).toBe(4);
    });
  });

  describe("searching", () => {
    beforeEach(async () => {
      await store.addDocuments(documents);
      embeddings.queries = 0;
    });

    it("returns four by default", async () => {
      await store.addDocuments(documents, ["5", "6", "7", "8"]);
      expect(await store.similaritySearch("bread")).toHaveLength(4);
      expect(await store.similaritySearchWithScore("bread")).toHaveLength(4);
    });

    it("gives similarities, best first", async () => {
      const found = await store.similaritySearchWithScore("rotate keys again", 4);
      expect(found[0]?.[0].id).toBe("again");
      expect(found[0]?.[1]).toBe(1);
      const scores = found.map(([, score]) => score);
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
      expect(found.at(-1)?.[1]).toBeGreaterThanOrEqual(-1);
    });

    it("filters with an object or a function, to the same effect", async () => {
      const object = await store.similaritySearch("rotate keys", 2, { year: { $gte: 2021 }, lang: "en" });
      expect(ids(object)).toEqual(["again", "bread"]);
      const accept = (document: Document<Meta>) =>
        document.metadata.year >= 2021 && document.metadata.lang === "en";
      expect(await store.similaritySearch("rotate keys", 2, accept)).toEqual(object);
      expect(await store.count({ lang: "en" })).toBe(3);
      expect(await store.count((document) => document.metadata.lang === "en")).toBe(3);
    });

    it("asks a function until k documents are accepted, each document once", async () => {
      const many = Array.from({ length: 3000 }, (_, i) => ({
        pageContent: "",
        metadata: { lang: "en", year: i },
      }));
      const other = await RuLakeVectorStore.open<Meta>({ memory: true }, embeddings);
      await other.addVectors(
        many.map((_, i) => [1, i / 3000]),
        many,
      );
      const asked: number[] = [];
      const found = await other.similaritySearchVectorWithScore([1, 0], 3, ({ metadata }) => {
        asked.push(metadata.year);
        return metadata.year >= 2000;
      });
      expect(found.map(([document]) => document.metadata.year)).toEqual([2000, 2001, 2002]);
      expect(asked).toEqual(Array.from({ length: 2003 }, (_, i) => i));
      expect(await other.similaritySearchVectorWithScore([1, 0], 3, () => false)).toEqual([]);
      const last = await other.similaritySearchVectorWithScore(
        [1, 0],
        5,
        ({ metadata }) => metadata.year > 2997,
      );
      expect(last).toHaveLength(2);
      await other.close();
    });

    it("passes on what a function throws", async () => {
      const broken = new Error("no such field");
      const search = store.similaritySearch("x", 1, () => {
        throw broken;
      });
      await expect(search).rejects.toBe(broken);
    });

    it("finds varied documents, embedding only the query", async () => {
      await store.addDocuments([
        new Document({ id: "copy", pageContent: "rotate keys again", metadata: { lang: "en", year: 2024 } }),
      ]);
      embeddings.batches.length = 0;
      const varied = await store.maxMarginalRelevanceSearch("rotate keys again", {
        k: 2,
        fetchK: 5,
        lambda: 0.4,
      });
      expect(ids(varied)[0]).toBe("again");
      expect(ids(varied)[1]).not.toBe("copy");
      expect(embeddings.queries).toBe(1);
      expect(embeddings.batches).toEqual([]);
      const german = { k: 2, fetchK: 5, filter: { lang: "de" } };
      expect(ids(await store.maxMarginalRelevanceSearch("rotate", german))).toEqual(["brot"]);
      const same = { ...german, filter: (document: Document<Meta>) => document.metadata.lang === "de" };
      expect(ids(await store.maxMarginalRelevanceSearch("rotate", same))).toEqual(["brot"]);
    });

    it("varies the same way behind an object and a function", async () => {
      const many = Array.from({ length: 60 }, (_, i) => ({
        id: `${i}`,
        pageContent: "",
        metadata: { lang: "x", year: i },
      }));
      const other = await RuLakeVectorStore.open<Meta>({ memory: true }, embeddings);
      await other.addVectors(
        many.map((_, i) => [Math.cos(i), Math.sin(i * 1.7), Math.sin(i) + 1]),
        many,
      );
      const options = { k: 6, mmr: { fetchK: 15, lambda: 0.3 } };
      const native = await other.search([1, 0.5, 1], { ...options, filter: { year: { $lt: 40 } } });
      const scripted = await other.search([1, 0.5, 1], {
        ...options,
        filter: ({ metadata }) => metadata.year < 40,
      });
      expect(scripted).toEqual(native);
      await other.close();
    });

    it("checks the options of variety behind an object and a function", async () => {
      for (const filter of [{ lang: "en" }, () => true]) {
        for (const mmr of [{ lambda: 2 }, { lambda: "1" }, { fetchK: 20.5 }, { fetchK: Number.NaN }]) {
          const error = await failure(store.search("x", { mmr, filter } as never));
          expect(error.code).toBe("INVALID_OPTION");
        }
      }
    });

    it("refuses a function that returns promises, which would let everything pass", async () => {
      await store.addDocuments(documents);
      const filter = (async () => false) as never;
      const calls = [
        () => store.search("x", { filter }),
        () => store.count(filter),
        () => store.delete({ filter }),
      ];
      for (const call of calls) {
        expect((await failure(call())).code).toBe("INVALID_FILTER");
      }
      expect(store.size).toBe(documents.length);
    });

    it("refuses a query that is neither text nor vector", async () => {
      for (const query of [undefined, null, 3]) {
        const call = store.addDocuments(documents).then(() => store.search(query as never));
        expect((await failure(call)).code).toBe("INVALID_ARGUMENT");
      }
    });

    it("leaves out low scores, by the store's default or the search's", async () => {
      const strict = await RuLakeVectorStore.open<Meta>(store.collection, embeddings, { minScore: 0.8 });
      expect(ids(await strict.similaritySearch("rotate keys again", 4))).toEqual(["again"]);
      expect(await strict.search("rotate keys again", { k: 4, minScore: -1 })).toHaveLength(4);
      expect(await store.search("rotate keys again", { minScore: 0.99 })).toHaveLength(1);
    });

    it("stops at a signal", async () => {
      const reason = new Error("enough");
      await expect(store.search("x", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(embeddings.queries).toBe(0);
    });

    it("does not wait for embeddings that never answer once the signal aborts", async () => {
      const never = () => new Promise<never>(() => {});
      const silent = { embedDocuments: never, embedQuery: never };
      const deaf = await RuLakeVectorStore.open<Meta>(store.collection, silent);
      const reason = new Error("enough");
      for (const call of [
        (signal: AbortSignal) => deaf.search("x", { signal }),
        (signal: AbortSignal) => deaf.addDocuments([new Document({ pageContent: "x" })], { signal }),
      ]) {
        const controller = new AbortController();
        const called = call(controller.signal);
        setImmediate(() => controller.abort(reason));
        await expect(called).rejects.toBe(reason);
      }
    });
  });

  describe("options", () => {
    it.each([
      [() => store.search("x", { kk: 2 } as never), "k"],
      [() => store.search("x", { mmr: { fetch_k: 2 } } as never), "fetchK"],
      [() => store.addDocuments(documents, { id: ["a"] } as never), "ids"],
      [() => RuLakeVectorStore.open({ memory: true }, embeddings, { dimension: 3 } as never), "dimensions"],
      [() => RuLakeVectorStore.fromTexts(["x"], [], embeddings, { paht: "./x" } as never), "path"],
      [() => store.maxMarginalRelevanceSearch("x", { k: 1, lamda: 1 } as never), "lambda"],
    ])("unknown ones are refused with a suggestion: %s", async (call, meant) => {
      const error = await failure(call());
      expect(error.code).toBe("UNKNOWN_OPTION");
      expect(error.message).toContain(`did you mean '${meant}'?`);
    });

    it("of retrievers too", async () => {
      expect(() => store.asRetriever({ filters: {} } as never)).toThrow("did you mean 'filter'?");
      expect(() => store.asRetriever({ searchType: "similarity_score_threshold" } as never)).toThrow(
        expect.objectContaining({
          code: "UNSUPPORTED_SEARCH_TYPE",
          hint: expect.stringContaining("minScore"),
        }),
      );
      expect(() => store.asRetriever(0)).toThrow(expect.objectContaining({ code: "INVALID_K" }));
      expect((await failure(store.similaritySearch("x", 0, () => true))).code).toBe("INVALID_K");
    });

    it.each([
      { batchSize: 0 },
      { minScore: Number.NaN },
      { recallTarget: 1.5 },
      { durability: "never" },
      { metric: "euclid" },
      { dimensions: 0 },
    ])("out of range are refused: %j", async (options) => {
      const open = RuLakeVectorStore.open({ memory: true }, embeddings, options as never);
      expect((await failure(open)).code).toBe("INVALID_OPTION");
    });

    it("embeddings that are none are refused", async () => {
      for (const given of [undefined, null, { metric: "l2" }]) {
        const error = await failure(RuLakeVectorStore.open({ memory: true }, given as never));
        expect(error.code).toBe("INVALID_OPTION");
        expect(error.message).toContain("'embeddings'");
      }
    });

    it("a signal that is none is refused", async () => {
      for (const call of [
        () => store.search("x", { signal: {} as never }),
        () => store.addDocuments(documents, { signal: {} as never }),
        () => store.collection.upsert([], { signal: {} as never }),
        () => store.collection.search([1], { signal: {} as never }),
      ]) {
        expect((await failure(call())).code).toBe("INVALID_OPTION");
      }
      expect(store.size).toBe(0);
    });

    it("a path that is none is refused", async () => {
      for (const path of ["", 3, {}, undefined]) {
        expect((await failure(RuLakeVectorStore.open(path as never, embeddings))).code).toBe(
          "INVALID_OPTION",
        );
      }
      const error = await failure(RuLakeVectorStore.fromTexts(["x"], [], embeddings, {} as never));
      expect(error.code).toBe("INVALID_OPTION");
      expect(error.hint).toContain("./lake/docs");
    });
  });

  describe("as an object", () => {
    it("is made by open alone", () => {
      const Constructor = RuLakeVectorStore as unknown as new (
        embeddings: Embeddings,
        options: object,
      ) => unknown;
      expect(() => new Constructor(embeddings, {})).toThrow(
        expect.objectContaining({
          code: "USE_OPEN",
          hint: expect.stringContaining("RuLakeVectorStore.open"),
        }),
      );
    });

    it("shows neither vectors nor secrets nor paths", async () => {
      class Secretive extends WordEmbeddings {
        apiKey = "s3cret-key";
      }
      const path = `${scratch()}/docs`;
      const secretive = await RuLakeVectorStore.fromDocuments(documents, new Secretive(), { path });
      expect(secretive.lc_kwargs).toEqual({});
      expect(JSON.parse(JSON.stringify(secretive))).toEqual({
        lc: 1,
        type: "not_implemented",
        id: ["langchain", "vectorstores", "rulake", "RuLakeVectorStore"],
      });
      expect(JSON.stringify(secretive.asRetriever())).not.toContain("s3cret");
      await secretive.close();
    });

    it("is closed at the end of a scope", async () => {
      const path = `${scratch()}/docs`;
      let kept: RuLakeVectorStore;
      {
        await using scoped = await RuLakeVectorStore.fromTexts(["one"], [], embeddings, { path });
        kept = scoped;
        expect(scoped.size).toBe(1);
      }
      expect((await failure(kept.similaritySearch("one"))).code).toBe("CLOSED");
    });
  });

  describe("factories", () => {
    it("fromTexts takes metadata for each text, for all, or none", async () => {
      const texts = ["one fish", "two fish"];
      const each = await RuLakeVectorStore.fromTexts(texts, [{ n: 1 }, { n: 2 }], embeddings, {
        path: { memory: true },
        ids: ["1", "2"],
      });
      expect((await each.getByIds(["1", "2"])).map((document) => document.metadata)).toEqual([
        { n: 1 },
        { n: 2 },
      ]);
      const all = await RuLakeVectorStore.fromTexts(texts, { lang: "en" }, embeddings, {
        path: { memory: true },
      });
      expect(await all.count({ lang: "en" })).toBe(2);
      const none = await RuLakeVectorStore.fromTexts(texts, [], embeddings, { path: { memory: true } });
      expect((await none.similaritySearch("two", 1))[0]).toMatchObject({
        pageContent: "two fish",
        metadata: {},
      });
      const short = RuLakeVectorStore.fromTexts(texts, [{ n: 1 }], embeddings, { path: { memory: true } });
      expect((await failure(short)).code).toBe("LENGTH_MISMATCH");
    });

    it("fromDocuments adds to what is there", async () => {
      const path = `${scratch()}/docs`;
      await (await RuLakeVectorStore.fromDocuments(documents.slice(0, 2), embeddings, { path })).close();
      const second = await RuLakeVectorStore.fromDocuments(documents.slice(1), embeddings, { path });
      expect(second.size).toBe(4);
      await second.close();
    });

    it("fromExistingIndex opens what exists and creates nothing", async () => {
      const lake = scratch();
      const missing = await failure(
        RuLakeVectorStore.fromExistingIndex(embeddings, { path: `${lake}/docs` }),
      );
      expect(missing.code).toBe("COLLECTION_NOT_FOUND");
      expect(existsSync(lake)).toBe(false);
      await (await RuLakeVectorStore.fromDocuments(documents, embeddings, { path: `${lake}/docs` })).close();
      const misspelt = await failure(
        RuLakeVectorStore.fromExistingIndex(embeddings, { path: `${lake}/doc` }),
      );
      expect(misspelt.message).toContain("did you mean 'docs'?");
      const existing = await RuLakeVectorStore.fromExistingIndex<Meta>(embeddings, { path: `${lake}/docs/` });
      expect(ids(await existing.similaritySearch("signing", 1))).toEqual(["keys"]);
      await existing.close();
    });

    it("says what a path means when it is not in a lake", async () => {
      const lake = scratch();
      await (await RuLakeVectorStore.open(`${lake}/docs`, embeddings)).close();
      const error = await failure(RuLakeVectorStore.open(lake, embeddings));
      expect(error.code).toBe("NOT_A_LAKE");
      expect(error.hint).toContain("<lake>/<collection>");
    });
  });

  describe("the embedding model", () => {
    class Wider extends Embeddings {
      constructor() {
        super({});
      }
      override embedDocuments = async (texts: string[]) => texts.map(() => new Array<number>(100).fill(1));
      override embedQuery = async () => new Array<number>(100).fill(1);
    }

    it("of another size is refused by name", async () => {
      await store.addDocuments(documents);
      const other = await RuLakeVectorStore.open<Meta>(store.collection, new Wider());
      for (const use of [() => other.addDocuments(documents), () => other.similaritySearch("x")]) {
        const error = await failure(use());
        expect(error.code).toBe("DIMENSION_MISMATCH");
        expect(error.message).toContain(`${WORD_DIMENSIONS} numbers`);
        expect(error.message).toContain("100");
        expect(error.hint).toContain("model");
      }
      expect(await store.count()).toBe(4);
    });

    it("may give the same vector for every text", async () => {
      const constant = await RuLakeVectorStore.fromDocuments(documents, new ConstantEmbeddings(), {
        path: { memory: true },
      });
      expect(ids(await constant.similaritySearch("anything", 3))).toEqual(["keys", "bread", "brot"]);
      expect(ids(await constant.maxMarginalRelevanceSearch("anything", { k: 2 }))).toEqual(["keys", "bread"]);
      await constant.close();
    });
  });

  describe("saving and loading", () => {
    it("copies everything, in order", async () => {
      await store.addDocuments(documents);
      await store.addVectors([wordVector("rotate"), wordVector("rotate")], documents.slice(0, 2), [
        "tie-b",
        "tie-a",
      ]);
      const directory = scratch();
      await store.save(directory);
      const loaded = await RuLakeVectorStore.load<Meta>(directory, embeddings);
      expect(await loaded.search("rotate keys", { k: 10 })).toEqual(
        await store.search("rotate keys", { k: 10 }),
      );
      await loaded.delete({ all: true });
      expect(await store.count()).toBe(6);
      await loaded.close();
      await store.save(directory);
      const again = await RuLakeVectorStore.load<Meta>(directory, embeddings);
      expect(again.size).toBe(6);
      await again.close();
    });

    it("keeps the metric, also of an empty store", async () => {
      const directory = scratch();
      const euclidean = await RuLakeVectorStore.open({ memory: true }, embeddings, { metric: "l2" });
      await euclidean.save(directory);
      const loaded = await RuLakeVectorStore.load(directory, embeddings);
      expect([loaded.size, loaded.collection.metric]).toEqual([0, "l2"]);
      await loaded.close();
    });

    it("of a lake's own directory changes nothing", async () => {
      const lake = scratch();
      const durable = await RuLakeVectorStore.fromDocuments(documents, embeddings, { path: `${lake}/docs` });
      await durable.save(lake);
      expect(durable.size).toBe(4);
      await durable.close();
      for (const directory of [lake, `${lake}/docs`]) {
        const loaded = await RuLakeVectorStore.load(directory, embeddings);
        expect(loaded.size).toBe(4);
        await loaded.close();
      }
    });

    it("fails where there is nothing to load, or too much", async () => {
      const lake = scratch();
      expect((await failure(RuLakeVectorStore.load(lake, embeddings))).code).toBe("COLLECTION_NOT_FOUND");
      expect(existsSync(lake)).toBe(false);
      for (const name of ["one", "two"]) {
        await (await RuLakeVectorStore.open(`${lake}/${name}`, embeddings)).close();
      }
      const error = await failure(RuLakeVectorStore.load(lake, embeddings));
      expect(error.context.collections).toEqual(["one", "two"]);
    });
  });

  it("reads without the right to write", async () => {
    const path = `${scratch()}/docs`;
    await (await RuLakeVectorStore.fromDocuments(documents, embeddings, { path })).close();
    const reader = await RuLakeVectorStore.open<Meta>(path, embeddings, { readOnly: true });
    expect(ids(await reader.similaritySearch("signing", 1))).toEqual(["keys"]);
    expect((await failure(reader.addDocuments(documents))).code).toBe("READ_ONLY");
    expect((await failure(reader.delete({ all: true }))).code).toBe("READ_ONLY");
    await reader.close();
  });

  it("works on a collection that is open already, and leaves it open", async () => {
    const lake = await RuLake.open({ memory: true });
    const collection = await lake.collection<Meta>("docs");
    const first = await RuLakeVectorStore.open<Meta>(collection, embeddings);
    await first.addDocuments(documents);
    await first.close();
    expect(collection.size).toBe(4);
    await collection.upsert([{ id: randomUUID(), vector: wordVector("fish"), text: "a fish" }]);
    const second = await RuLakeVectorStore.open<Meta>(collection, embeddings);
    expect((await second.similaritySearch("fish", 1))[0]).toMatchObject({
      pageContent: "a fish",
      metadata: {},
    });
    await lake.close();
  });

  it("has the same class in the ESM and the CJS build's own terms", () => {
    const source = readFileSync(new URL("../../dist/langchain.cjs", import.meta.url), "utf8");
    expect(source).toContain('require("@langchain/core/vectorstores")');
    expect(source).not.toContain("class SaveableVectorStore");
  });
});
