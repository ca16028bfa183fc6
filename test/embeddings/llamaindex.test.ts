import {
  BaseEmbedding,
  Document,
  IngestionPipeline,
  SentenceSplitter,
  Settings,
  SimilarityType,
  SimpleVectorStore,
  storageContextFromDefaults,
  VectorStoreIndex,
} from "llamaindex";
import { OnnxEmbedder } from "rulake/embeddings";
import { OnnxEmbedding } from "rulake/llamaindex";
import { afterAll, expect, expectTypeOf, it } from "vitest";
import { dot, failure, passages } from "./passages.js";

const embedding = new OnnxEmbedding({ workers: 2 });
afterAll(() => embedding.close());

it("is a BaseEmbedding of LlamaIndex and describes itself", () => {
  expect(embedding).toBeInstanceOf(BaseEmbedding);
  expectTypeOf(embedding).toExtend<BaseEmbedding>();
  expect(embedding.embedBatchSize).toBe(256);
  expect(embedding.embedInfo.dimensions).toBe(384);
  expect({ ...embedding.embedInfo }).toEqual({ dimensions: 384, maxTokens: 256 });
});

it("embeds texts one by one, together and in LlamaIndex's batches", async () => {
  const texts = passages(50, [3, 8]);
  const together = await embedding.getTextEmbeddings(texts);
  expect(together).toHaveLength(50);
  expect(await embedding.getTextEmbedding(texts[7] as string)).toEqual(together[7]);
  await using small = new OnnxEmbedding({ workers: 2, embedBatchSize: 7 });
  const progress: number[] = [];
  const batched = await small.getTextEmbeddingsBatch(texts, {
    progressCallback: (done) => progress.push(done),
  });
  expect(batched).toEqual(together);
  expect(progress.at(-1)).toBe(50);
  const [a, b] = together as [number[], number[]];
  expect(embedding.similarity(a, b, SimilarityType.DEFAULT)).toBeCloseTo(dot(a, b), 6);
});

it("uses the batch method rather than the one-by-one method of the base class", async () => {
  await using counted = new OnnxEmbedding({ workers: 2 });
  let singles = 0;
  counted.getTextEmbedding = async () => {
    singles++;
    return [];
  };
  expect(await counted.getTextEmbeddingsBatch(["a", "b", "c"])).toHaveLength(3);
  expect(singles).toBe(0);
});

it("embeds queries with their prefix, whatever form they come in", async () => {
  await using prefixed = new OnnxEmbedding({
    workers: 2,
    prefixes: { query: "query: ", document: "passage: " },
  });
  const expected = await embedding.getTextEmbedding("query: rivers");
  expect(await prefixed.getQueryEmbedding({ type: "text", text: "rivers" })).toEqual(expected);
  expect(await prefixed.getQueryEmbedding("rivers")).toEqual(expected);
  expect(await prefixed.getTextEmbedding("rivers")).toEqual(
    await embedding.getTextEmbedding("passage: rivers"),
  );
  const image = { type: "image_url" as const, image_url: { url: "https://images.example/x.png" } };
  expect(await prefixed.getQueryEmbedding(image)).toBeNull();
});

it("refuses misspelt and wrong options, and closes only its own embedder", async () => {
  expect(await failure(() => new OnnxEmbedding({ embedBatchsize: 3 } as object))).toMatchObject({
    code: "UNKNOWN_OPTION",
    message: expect.stringContaining("did you mean 'embedBatchSize'?"),
  });
  expect(await failure(() => new OnnxEmbedding({ embedBatchSize: 0 }))).toMatchObject({
    code: "INVALID_OPTION",
  });
  await using embedder = new OnnxEmbedder({ workers: 2 });
  const borrowed = new OnnxEmbedding(embedder);
  await borrowed.close();
  expect(await borrowed.getTextEmbedding("x")).toHaveLength(384);
});

it("is a step of an ingestion pipeline", async () => {
  const documents = ["tides follow the moon.", "bread needs yeast."].map((text) => new Document({ text }));
  const transformations = [new SentenceSplitter({ chunkSize: 64, chunkOverlap: 0 }), embedding];
  const nodes = await new IngestionPipeline({ transformations }).run({ documents });
  expect(nodes).toHaveLength(2);
  for (const node of nodes) expect(node.embedding).toHaveLength(384);
});

it("serves an index and its retriever through Settings.embedModel", async () => {
  Settings.embedModel = embedding;
  const texts = ["Tides follow the moon.", "Bread needs yeast.", "A kitten rests on a rug."];
  const index = await VectorStoreIndex.fromDocuments(
    texts.map((text) => new Document({ text })),
    { storageContext: await storageContextFromDefaults({ vectorStore: new SimpleVectorStore() }) },
  );
  const [best] = await index.asRetriever({ similarityTopK: 1 }).retrieve({ query: "Where is the cat?" });
  expect(best?.node.toJSON()).toMatchObject({ text: "A kitten rests on a rug." });
});
