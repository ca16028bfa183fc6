// Finds answers among a few notes with LangChain.js: in this process, without a server or a key, kept on disk.
//   node examples/01-quickstart/main.mjs [./lake/notes]
import { OnnxEmbeddings, RuLakeVectorStore } from "rulake/langchain";

const notes = [
  "The signing keys are rotated every ninety days; the night shift runs the job.",
  "Rye bread bakes for an hour at two hundred degrees.",
  "The office in Lisbon closes at six, on Fridays at four.",
  "Backups are copied to a second site and restored once a month as a drill.",
];
const ids = notes.map((_, i) => `note-${i}`);

const store = await RuLakeVectorStore.open(process.argv[2] ?? "./lake/notes", new OnnxEmbeddings());
await store.addDocuments(
  notes.map((pageContent, i) => ({ pageContent, metadata: { line: i + 1 } })),
  { ids }, // adding again replaces: run this as often as you like
);

const retriever = store.asRetriever({ k: 1 });
const questions = [
  "How often do we change cryptographic keys?",
  "When can I no longer get into the building at the end of the week?",
  "Do we test that our backups work?",
];
for (const question of questions) {
  const [answer] = await retriever.invoke(question);
  console.log(`${question}\n  -> ${answer?.pageContent}  (line ${answer?.metadata.line})`);
}
await store.close();
