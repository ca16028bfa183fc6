import { RuLakeError } from "rulake";
import { OnnxEmbeddings, RuLakeVectorStore } from "rulake/langchain";
import { RuLakeVectorStore as LlamaIndexStore, OnnxEmbedding } from "rulake/llamaindex";
import { afterAll, describe, expect, it, vi } from "vitest";
import { WordEmbeddings } from "./langchain-fixtures.js";
import { scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const texts = ["the cat sat on the mat", "quarterly revenue grew by nine percent", "a kitten is sleeping"];

describe("with OnnxEmbeddings", () => {
  const embeddings = new OnnxEmbeddings();

  afterAll(() => embeddings.close());

  it("finds what is meant, asking the embedder underneath", async () => {
    const asked = vi.spyOn(OnnxEmbeddings.prototype, "embedDocuments");
    const path = { memory: true } as const;
    const store = await RuLakeVectorStore.fromTexts(texts, [], embeddings, { path });
    const found = await store.similaritySearchWithScore("young cats", 2);
    expect(found.map(([document]) => document.pageContent).sort()).toEqual([texts[2], texts[0]]);
    expect(found[0]?.[1]).toBeGreaterThan(0.25);
    expect(asked).not.toHaveBeenCalled();
    asked.mockRestore();
    await store.close();
  });

  it("asks a subclass that embeds in its own way", async () => {
    class Watched extends OnnxEmbeddings {
      override embedDocuments = async (): Promise<number[][]> => {
        throw new Error("a subclass is asked");
      };
    }
    const watched = await RuLakeVectorStore.open({ memory: true }, new Watched());
    await expect(watched.addDocuments([{ pageContent: "x", metadata: {} }])).rejects.toThrow(
      "a subclass is asked",
    );
  });

  it("stops embedding at a signal", async () => {
    const store = await RuLakeVectorStore.open({ memory: true }, embeddings);
    const documents = Array.from({ length: 2000 }, (_, i) => ({
      pageContent: `text number ${i}`,
      metadata: {},
    }));
    const controller = new AbortController();
    const adding = store.addDocuments(documents, { batchSize: 2000, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await expect(adding).rejects.toThrow("enough");
    expect(await store.count()).toBe(0);
    await store.close();
  });

  it("is refused by a collection of another model, at once", async () => {
    const path = `${scratch()}/docs`;
    await (await RuLakeVectorStore.fromTexts(texts, [], new WordEmbeddings(), { path })).close();
    for (const open of [
      () => RuLakeVectorStore.open(path, embeddings),
      () => LlamaIndexStore.open(path, { embedModel: new OnnxEmbedding() }),
    ]) {
      const error = await open().catch((reason: unknown) => reason);
      expect(RuLakeError.isInstance(error) && error.code).toBe("DIMENSION_MISMATCH");
      expect((error as Error).message).toContain("384");
    }
  });
});
