import { Document } from "@langchain/core/documents";
import { BaseEmbedding, TextNode, VectorStoreQueryMode } from "llamaindex";
import type { Filter, Metric } from "rulake";
import { RuLakeVectorStore as LangChainStore } from "rulake/langchain";
import { RuLakeVectorStore as LlamaIndexStore } from "rulake/llamaindex";
import { WordEmbeddings } from "../vectorstore/langchain-fixtures.js";

type Metadata = Record<string, unknown>;

/** A text to store. */
export interface Item {
  id?: string;
  text: string;
  vector: number[];
  metadata?: Metadata;
}

/** What a search found. */
interface Found {
  id: string;
  text: string;
  metadata: Metadata;
  score: number;
}

interface SearchOptions {
  filter?: Filter;
  minScore?: number;
  mmr?: { fetchK: number; lambda: number };
}

/** What both stores can do, under one set of names. */
export interface StoreUnderTest {
  add(items: Item[]): Promise<string[]>;
  search(vector: number[], k: number, options?: SearchOptions): Promise<Found[]>;
  get(ids: string[]): Promise<Omit<Found, "score">[]>;
  deleteIds(ids: string[]): Promise<void>;
  clear(): Promise<void>;
  count(): Promise<number>;
  size(): number;
  close(): Promise<void>;
}

/** Opens a store the way its framework's users do. */
export interface Harness {
  name: string;
  open(path: string | { memory: true }, options?: { metric?: Metric }): Promise<StoreUnderTest>;
}

const langchain: Harness = {
  name: "LangChain.js",
  async open(path, options) {
    const store = await LangChainStore.open(path, new WordEmbeddings(), options);
    const plain = (document: Document) => ({
      id: String(document.id),
      text: document.pageContent,
      metadata: document.metadata,
    });
    return {
      async add(items) {
        const documents = items.map(({ id, text, metadata = {} }) => {
          return new Document({ pageContent: text, metadata, ...(id !== undefined && { id }) });
        });
        return store.addVectors(
          items.map((item) => item.vector),
          documents,
        );
      },
      async search(vector, k, searchOptions) {
        const found = await store.search(vector, { k, ...searchOptions });
        return found.map(([document, score]) => ({ ...plain(document), score }));
      },
      get: async (ids) => (await store.getByIds(ids)).map(plain),
      deleteIds: (ids) => store.delete({ ids }),
      clear: () => store.delete({ all: true }),
      count: () => store.count(),
      size: () => store.size,
      close: () => store.close(),
    };
  },
};

/** LlamaIndex wants a model to be named; the tests bring their vectors. */
class NoEmbedding extends BaseEmbedding {
  // BaseEmbedding's own is protected.
  // biome-ignore lint/complexity/noUselessConstructor: it makes the class constructible
  constructor() {
    super();
  }

  async getTextEmbedding(): Promise<number[]> {
    throw new Error("nothing should be embedded");
  }
}

const llamaindex: Harness = {
  name: "LlamaIndex.TS",
  async open(path, options) {
    const store = await LlamaIndexStore.open(path, { embedModel: new NoEmbedding(), ...options });
    const plain = (node: { id_: string; metadata: Metadata }) => {
      if (!(node instanceof TextNode)) throw new Error("not a TextNode of this framework");
      return { id: node.id_, text: node.text, metadata: node.metadata };
    };
    return {
      async add(items) {
        return store.add(
          items.map(({ id, text, vector, metadata = {} }) => {
            return new TextNode({ text, metadata, embedding: vector, ...(id !== undefined && { id_: id }) });
          }),
        );
      },
      async search(vector, k, { filter, minScore, mmr } = {}) {
        const { nodes, similarities, ids } = await store.query({
          queryEmbedding: vector,
          similarityTopK: k,
          mode: mmr ? VectorStoreQueryMode.MMR : VectorStoreQueryMode.DEFAULT,
          customParams: { filter, minScore, fetchK: mmr?.fetchK },
          ...(mmr && { mmrThreshold: mmr.lambda }),
        });
        return ids.map((id, i) => {
          const node = nodes?.[i];
          if (node === undefined || node.id_ !== id) throw new Error("nodes and ids are not aligned");
          return { ...plain(node), score: similarities[i] ?? Number.NaN };
        });
      },
      get: async (ids) => (await store.getNodes(ids)).map(plain),
      deleteIds: (ids) => store.deleteNodes(ids),
      clear: () => store.clear(),
      count: () => store.count(),
      size: () => store.size,
      close: () => store.close(),
    };
  },
};

/** Every store there is. */
export const harnesses: Harness[] = [langchain, llamaindex];
