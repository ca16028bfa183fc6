// Checked by tsc: every line marked as an error must be one.
import type { Document } from "@langchain/core/documents";
import type { SaveableVectorStore, VectorStore, VectorStoreRetriever } from "@langchain/core/vectorstores";
import type { BaseVectorStore } from "llamaindex";
import type { Collection } from "rulake";
import { type OnnxEmbeddings, RuLakeVectorStore } from "rulake/langchain";
import { RuLakeVectorStore as LlamaIndexStore } from "rulake/llamaindex";

interface Meta {
  lang: "en" | "de";
  year: number;
  tags: string[];
  author?: { name: string };
  at: Date;
}

declare const embeddings: OnnxEmbeddings;
declare const collection: Collection<Meta>;

const store = await RuLakeVectorStore.open<Meta>("./lake/docs", embeddings);

// What the documents hold is known.
const found: Document<Meta>[] = await store.similaritySearch("x");
const year: number | undefined = found[0]?.metadata.year;
const scored: [Document<Meta>, number][] = await store.similaritySearchWithScore("x");
const ids: string[] = await store.addDocuments(found, { ids: ["a"] });
const sameIds: string[] = await store.addDocuments(found, ["a"]);

// Filters on fields that exist, with operands of their types.
await store.similaritySearch("x", 4, { lang: "en", year: { $gte: 2020 }, tags: { $contains: "rust" } });
await store.similaritySearch("x", 4, { "author.name": { $startsWith: "A" }, at: { $lt: new Date() } });
await store.similaritySearch("x", 4, { $or: [{ lang: "de" }, { $not: { year: 1 } }], $id: "a" });
await store.similaritySearch("x", 4, (document) => document.metadata.year > 2000);
await store.search([1, 2], { filter: { year: 1 }, mmr: { fetchK: 10 }, minScore: 0.1 });
await store.maxMarginalRelevanceSearch("x", { k: 2, filter: { lang: "en" } });
await store.delete({ filter: { year: { $lt: 2000 } } });
await store.count({ lang: { $in: ["en", "de"] } });
const retriever: VectorStoreRetriever<typeof store> = store.asRetriever({
  filter: { lang: "en" },
  minScore: 0.2,
});
store.asRetriever(4, { year: 2020 });

// @ts-expect-error no such field
await store.similaritySearch("x", 4, { language: "en" });
// @ts-expect-error not a value of this field
await store.similaritySearch("x", 4, { lang: "fr" });
// @ts-expect-error not a number
await store.similaritySearch("x", 4, { year: "2020" });
// @ts-expect-error no order among arrays
await store.similaritySearch("x", 4, { tags: { $gt: "a" } });
// @ts-expect-error no such operator
await store.similaritySearch("x", 4, { year: { $gth: 1 } });
// @ts-expect-error no such path
await store.similaritySearch("x", 4, { "author.nmae": "Ada" });
// @ts-expect-error no such field
await store.similaritySearch("x", 4, (document) => document.metadata.language === "en");
// @ts-expect-error no such field, deeper
await store.search("x", { filter: { $and: [{ language: "en" }] } });
// @ts-expect-error no such field
await store.delete({ filter: { language: "en" } });
// @ts-expect-error no such field
await store.count({ language: "en" });
// @ts-expect-error no such field
store.asRetriever({ filter: { language: "en" } });
// @ts-expect-error no such field
store.asRetriever(4, { language: "en" });
// @ts-expect-error metadata of another type
await store.addDocuments([{ pageContent: "x", metadata: { lang: "fr" } }]);
// @ts-expect-error misspelt option
await store.addDocuments(found, { onprogress: () => {} });
// @ts-expect-error misspelt option
await RuLakeVectorStore.open("./lake/docs", embeddings, { dimension: 3 });
// @ts-expect-error nothing selected
await store.delete({});
// @ts-expect-error made by open alone
new RuLakeVectorStore(embeddings, {});

// Metadata of any kind, unless a type is given or told by what is passed in.
const any = await RuLakeVectorStore.open("./lake/docs", embeddings);
await any.similaritySearch("x", 4, { anything: { $gte: 1 } });
const none: RuLakeVectorStore = await RuLakeVectorStore.fromTexts(["a"], [], embeddings, {
  path: "./lake/docs",
});
const told = await RuLakeVectorStore.fromTexts(["a"], [{ page: 1 }], embeddings, { path: { memory: true } });
await told.count({ page: 1 });
// @ts-expect-error no such field
await told.count({ pgae: 1 });
const shared: RuLakeVectorStore<Meta> = await RuLakeVectorStore.open(collection, embeddings);

// They are what the frameworks ask for.
const base: VectorStore = store;
const saveable: SaveableVectorStore = any;
const llamaindex: BaseVectorStore = await LlamaIndexStore.open("./lake/docs");
// @ts-expect-error misspelt option
await LlamaIndexStore.open("./lake/docs", { embedmodel: undefined });

export { base, ids, llamaindex, none, retriever, sameIds, saveable, scored, shared, year };
