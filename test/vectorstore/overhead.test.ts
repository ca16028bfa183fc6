import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { RuLake } from "rulake";
import { expect, it } from "vitest";
import { scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const run = promisify(execFile);

const searches = {
  langchain: `
    const embeddings = { embedQuery: async () => query, embedDocuments: async () => [] };
    const store = await adapter.RuLakeVectorStore.open(docs, embeddings);
    await search(() => store.similaritySearchVectorWithScore(query, 10));`,
  llamaindex: `
    const store = await adapter.RuLakeVectorStore.open(docs, { embedModel: new adapter.OnnxEmbedding() });
    await search(() => store.query({ queryEmbedding: query, similarityTopK: 10, mode: "default" }));`,
};

/**
 * For a process of its own, with the collector at hand: prints what a store takes of the heap beyond its collection, the
 * least of five stores one after the other. The first ones take what compiled code does as well.
 */
const program = (framework: keyof typeof searches) => `
  import { RuLake } from "rulake";
  import * as adapter from "rulake/${framework}";
  const query = Array.from({ length: 384 }, (_, i) => (i === 0 ? 1 : 0));
  const held = () => { gc(); gc(); return process.memoryUsage().heapUsed; };
  const lake = await RuLake.open(process.argv[1]);
  const docs = await lake.collection("docs");
  const search = async (find) => { for (let i = 0; i < 200; i++) await find(); };
  await search(() => docs.search(query, { k: 10, include: ["text", "metadata"] }));
  let least = Infinity;
  for (let round = 0; round < 5; round++) {
    const before = held();
    ${searches[framework]}
    least = Math.min(least, held() - before);
    await store.close();
  }
  console.log(least);
  await lake.close();
`;

it.each(["langchain", "llamaindex"] as const)(
  "a store for %s keeps nothing for each record",
  async (framework) => {
    const records = 20_000;
    const rest = new Float32Array(382);
    const place = scratch();
    const lake = await RuLake.open(place);
    const docs = await lake.collection("docs");
    const record = (i: number) => ({
      id: `${i}`,
      vector: Float32Array.of(Math.cos(i), Math.sin(i), ...rest),
      text: `text ${i}`,
    });
    await docs.upsert(Array.from({ length: records }, (_, i) => record(i)));
    await lake.close();
    const args = ["--expose-gc", "--input-type=module", "-e", program(framework), place];
    const { stdout } = await run(process.execPath, args);
    // An id alone would take more.
    expect(Number(stdout) / records).toBeLessThan(8);
  },
  60_000,
);
