import { Document } from "@langchain/core/documents";
import { Embeddings } from "@langchain/core/embeddings";
import { OnnxEmbedder } from "rulake/embeddings";
import { OnnxEmbeddings } from "rulake/langchain";
import { afterAll, expect, expectTypeOf, it } from "vitest";
import { dot, failure, passages } from "./passages.js";
import { tinyModelFolder } from "./tiny-model.js";

const embeddings = new OnnxEmbeddings({ workers: 2 });
afterAll(() => embeddings.close());

it("is an Embeddings of LangChain, cheap to make", () => {
  expect(embeddings).toBeInstanceOf(Embeddings);
  expectTypeOf(embeddings).toExtend<Embeddings>();
  const started = performance.now();
  for (let i = 0; i < 20; i++) new OnnxEmbeddings();
  expect((performance.now() - started) / 20).toBeLessThan(20);
  expect(new OnnxEmbeddings().dimensions).toBe(384);
});

it("embeds documents and queries to plain numbers", async () => {
  const [cat, kitten] = await embeddings.embedDocuments(["a cat sat on the mat", "a kitten rests on a rug"]);
  expect(Array.isArray(cat)).toBe(true);
  expect(dot(cat as number[], kitten as number[])).toBeGreaterThan(0.6);
  expect(await embeddings.embedQuery("a cat sat on the mat")).toEqual(cat);
  expect(await embeddings.embedDocuments([])).toEqual([]);
  const texts = passages(300, 3);
  const [all, direct] = [await embeddings.embedDocuments(texts), await embeddings.embedder.embedBatch(texts)];
  expect(all).toEqual(direct.map((vector) => [...vector]));
  expect(direct[0]).toBeInstanceOf(Float32Array);
});

it("tells queries from documents", async () => {
  await using prefixed = new OnnxEmbeddings({
    workers: 2,
    prefixes: { query: "query: ", document: "passage: " },
  });
  expect(await prefixed.embedQuery("rivers")).toEqual(await embeddings.embedQuery("query: rivers"));
  expect(await prefixed.embedDocuments(["rivers"])).toEqual(
    await embeddings.embedDocuments(["passage: rivers"]),
  );
});

it("takes LangChain's own parameters and refuses misspelt ones", async () => {
  await using limited = new OnnxEmbeddings({ workers: 2, maxConcurrency: 1, maxRetries: 0 });
  const all = await Promise.all([
    limited.embedQuery("a"),
    limited.embedQuery("b"),
    limited.embedDocuments(["c"]),
  ]);
  expect(all).toHaveLength(3);
  expect(await failure(() => new OnnxEmbeddings({ maxRetry: 3 } as object))).toMatchObject({
    code: "UNKNOWN_OPTION",
    message: expect.stringContaining("OnnxEmbeddings: unknown option 'maxRetry'; did you mean 'maxRetries'?"),
  });
  expect(await failure(() => new OnnxEmbeddings({ model: "minilm-l6" }))).toMatchObject({
    code: "MODEL_NOT_FOUND",
  });
});

it("does not retry what cannot succeed", async () => {
  const model = tinyModelFolder({}, { "onnx/model.onnx": "broken" });
  await using broken = new OnnxEmbeddings({ model, maxRetries: 6 });
  const started = performance.now();
  expect(await failure(() => broken.embedDocuments(["x"]))).toMatchObject({
    code: "MODEL_INVALID",
    name: "EmbedError",
  });
  expect(performance.now() - started).toBeLessThan(5000);
});

it("works with an embedder of the caller's, which it does not close", async () => {
  await using embedder = new OnnxEmbedder({ workers: 2, dimensions: 8 });
  for (const borrowed of [new OnnxEmbeddings(embedder), new OnnxEmbeddings({ embedder, maxRetries: 1 })]) {
    expect(borrowed.embedder).toBe(embedder);
    expect(await borrowed.embedQuery("x")).toHaveLength(8);
    await borrowed.close();
  }
  expect(await embedder.embed("x")).toHaveLength(8);
  expect(await failure(() => new OnnxEmbeddings({ embedder, dimensions: 4 }))).toMatchObject({
    code: "UNKNOWN_OPTION",
  });
});

it("refuses calls once closed", async () => {
  const closing = new OnnxEmbeddings({ workers: 2 });
  await closing.embedQuery("x");
  await closing.close();
  expect(await failure(() => closing.embedQuery("x"))).toMatchObject({ code: "CLOSED" });
});

it("embeds what documents hold", async () => {
  const documents = [
    new Document({ pageContent: "tides follow the moon" }),
    new Document({ pageContent: "bread needs yeast" }),
  ];
  const vectors = await embeddings.embedDocuments(documents.map((document) => document.pageContent));
  const query = await embeddings.embedQuery("what makes the sea rise?");
  expect(dot(query, vectors[0] as number[])).toBeGreaterThan(dot(query, vectors[1] as number[]));
});
