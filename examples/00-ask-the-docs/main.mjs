#!/usr/bin/env node
// `npm start`: reads documentation, keeps its passages in a lake, and answers questions from them.
import { stat } from "node:fs/promises";
import path from "node:path";
import { RuLakeError } from "rulake";
import { OnnxEmbeddings } from "rulake/langchain";
import { ask } from "./answer.mjs";
import { help, readArguments, UsageError } from "./arguments.mjs";
import { checkout, folderDocumentation, installedDocumentation } from "./corpus.mjs";
import { ingest, unchanged } from "./ingest.mjs";
import { integer, Progress } from "./progress.mjs";
import { bytesBelow, painter, report } from "./report.mjs";
import { openStore, storePath } from "./store.mjs";

/** @typedef {import("./arguments.mjs").Arguments} Arguments */

/** The first is asked when none is given, the others are proposed. */
const questions = [
  "How do I filter search results by metadata?",
  "What happens when the process is killed during a write?",
  "How can I limit how many promises run at the same time?",
  "How do I turn off colours in the terminal output?",
];

/** Standard output has the result and nothing else. */
const say = (/** @type {string} */ line) => process.stderr.write(`rulake: ${line}\n`);

async function readCorpus(/** @type {string | undefined} */ root) {
  if (root === undefined) return installedDocumentation();
  const isFolder = (await stat(root).catch(() => undefined))?.isDirectory() ?? false;
  if (!isFolder) throw new UsageError(`--root: there is no folder '${root}'`);
  const corpus = await folderDocumentation(root);
  if (corpus.files.length === 0) throw new UsageError(`--root: no Markdown or text file below '${root}'`);
  return corpus;
}

/** Stores what is new in the corpus. */
async function update(
  /** @type {import("./corpus.mjs").Corpus} */ corpus,
  /** @type {import("./ingest.mjs").Store} */ store,
  /** @type {AbortSignal} */ signal,
) {
  const progress = new Progress(process.stderr, "rulake: embedding");
  const onProgress = (/** @type {number} */ done, /** @type {number} */ total) => {
    if (done === 0) say(`${integer(total)} new passages to embed; Ctrl-C keeps what is stored`);
    progress.update(done, total);
  };
  try {
    return await ingest(corpus, store, { signal, onProgress });
  } finally {
    progress.end();
  }
}

/**
 * @param {Arguments} args
 * @param {OnnxEmbeddings} embeddings
 * @param {AbortSignal} signal
 * @returns {Promise<number>} the exit code
 */
async function run(args, embeddings, signal) {
  const { root, json } = args;
  const question = args.question ?? (root === undefined ? questions[0] : undefined);
  // The model loads while files are read. If it cannot, the first text says why.
  const loaded = embeddings.embedder.ready().catch(() => {});
  const corpus = await readCorpus(root);
  const { store, isReadOnly } = await openStore(args, embeddings);
  try {
    if (isReadOnly) say("another run is storing passages; this one answers from those that are there");
    const state = isReadOnly ? unchanged(corpus, store) : await update(corpus, store, signal);
    const { seconds, complete, ...counts } = state;
    if (!complete) {
      say(`interrupted; ${integer(counts.passages)} passages are stored, the next run goes on from there`);
      return 130;
    }
    await loaded;
    if (question !== undefined && !json) console.log(`\n${painter(process.stdout)("bold", question)}\n`);
    let isWritten = false;
    const onWritten = (/** @type {string} */ text) => {
      if (json || !process.stdout.isTTY) return;
      process.stdout.write(`${isWritten ? "" : "  "}${text.replaceAll("\n", "\n  ")}`);
      isWritten = true;
    };
    const answer =
      question === undefined
        ? undefined
        : await ask(question, store, { k: args.k, model: args.model, signal, onWritten, onNote: say });
    if (isWritten) console.log("\n");

    const location = storePath(args);
    const statistics = {
      root: root ?? checkout,
      store: location,
      ...counts,
      cut: corpus.cut,
      passagesPerSecond: counts.embedded / (seconds || 1),
      bytesOnDisk: await bytesBelow(path.dirname(location)),
      totalMs: performance.now(),
    };
    if (json) console.log(JSON.stringify({ ...answer, statistics }, null, 2));
    else console.log(report(answer, statistics, { isWritten, hints: hints(args, question) }));
    return 0;
  } finally {
    await store.close();
  }
}

/** What to type next. */
function hints(/** @type {Arguments} */ { root }, /** @type {string | undefined} */ asked) {
  if (root !== undefined) return [`Ask:  npm start -- --root ${root} "…"`];
  const others = questions.filter((question) => question !== asked).slice(0, 3);
  return ["Try:", ...others.map((question) => `  npm start -- "${question}"`)];
}

/** @returns {Promise<number>} the exit code */
async function main() {
  const args = readArguments(process.argv.slice(2), process.env);
  if (args.help) {
    console.log(help);
    return 0;
  }
  const interruption = new AbortController();
  const { signal } = interruption;
  process.on("SIGINT", () => {
    if (signal.aborted) process.exit(130);
    interruption.abort();
  });
  const embeddings = new OnnxEmbeddings({ cache: true });
  try {
    return await run(args, embeddings, signal);
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    await embeddings.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) {
    say(`${error.message}\nrulake: npm start -- --help  lists the options`);
    process.exitCode = 2;
  } else if (RuLakeError.isInstance(error)) {
    say(`${error.message} (${error.code})`);
    if (error.hint !== undefined) say(error.hint);
    process.exitCode = 1;
  } else {
    console.error(error);
    process.exitCode = 1;
  }
}
