// Serves a collection of a lake to remote agents as an A2A agent with a signed card, and asks it like one of them.
//   node examples/08-a2a-retriever/main.mjs [./lake/served]           serves, asks, ends
//   node examples/08-a2a-retriever/main.mjs ./lake/served 4000        goes on serving at port 4000
import { generateKeyPairSync } from "node:crypto";
import { A2APeer, serveAsA2A } from "rulake/agents";
import { OnnxEmbeddings, RuLakeVectorStore } from "rulake/langchain";

const notes = [
  "The signing keys are rotated every ninety days; the night shift runs the job.",
  "Rye bread bakes for an hour at two hundred degrees.",
  "The office in Lisbon closes at six, on Fridays at four.",
  "Backups are copied to a second site and restored once a month as a drill.",
];
const store = await RuLakeVectorStore.open(process.argv[2] ?? "./lake/served", new OnnxEmbeddings());
await store.addDocuments(
  notes.map((pageContent, i) => ({ pageContent, metadata: { line: i + 1 } })),
  { ids: notes.map((_, i) => `note-${i}`) },
);

const server = await serveAsA2A({
  card: { name: "House notes", description: "Finds the note that answers a question" },
  retriever: store.asRetriever({ k: 1 }),
  // Keep yours: by its thumbprint others know that it is still you.
  signingKey: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  auth: { bearer: "let-me-in" },
});
const { url } = await server.listen(Number(process.argv[3] ?? 0));
console.log(`House notes at ${url}, key ${server.thumbprint}`);

// From here on: another agent, anywhere.
const peer = await A2APeer.connect(url, {
  network: { allowLoopback: true },
  auth: { bearer: "let-me-in" },
  verify: "require",
  trust: { thumbprints: [server.thumbprint ?? ""] },
});
for (const question of ["How often do we change cryptographic keys?", "Do we test that our backups work?"]) {
  const { text, artifacts } = await peer.send(question);
  const found = artifacts[0]?.parts.find((part) => "data" in part);
  const line = /** @type {any} */ (found)?.data.documents[0].metadata.line;
  console.log(`${question}\n  -> ${text}  (line ${line})`);
}
await peer.close();

if (process.argv[3] === undefined) {
  await server.close();
  await store.close();
}
