// Finds answers among a few notes with LlamaIndex.TS: in this process, without a server or a key, kept on disk.
//   node examples/02-llamaindex/main.mjs [./lake/llamaindex]
import { Document, MetadataMode, VectorStoreIndex } from "llamaindex";
import { OnnxEmbedding, RuLakeVectorStore } from "rulake/llamaindex";

const notes = [
  {
    text: "The signing keys are rotated every ninety days; the night shift runs the job.",
    topic: "security",
  },
  { text: "Rye bread bakes for an hour at two hundred degrees.", topic: "kitchen" },
  { text: "The office in Lisbon closes at six, on Fridays at four.", topic: "office" },
  { text: "Backups are copied to a second site and restored once a month as a drill.", topic: "security" },
];

const path = process.argv[2] ?? "./lake/llamaindex";
const vectorStore = await RuLakeVectorStore.open(path, { embedModel: new OnnxEmbedding() });
const index = await VectorStoreIndex.fromVectorStore(vectorStore);
for (const [i, { text, topic }] of notes.entries()) {
  await vectorStore.delete(`note-${i}`); // so that a second run replaces
  await index.insert(new Document({ id_: `note-${i}`, text, metadata: { topic } }));
}

const retriever = index.asRetriever({
  similarityTopK: 1,
  filters: { filters: [{ key: "topic", value: ["security", "office"], operator: "in" }] },
});
for (const query of [
  "How often do we change cryptographic keys?",
  "When does the office close on Fridays?",
]) {
  const [found] = await retriever.retrieve({ query });
  console.log(
    `${query}\n  -> ${found?.node.getContent(MetadataMode.NONE)}  (from ${found?.node.sourceNode?.nodeId})`,
  );
}
await vectorStore.close();
