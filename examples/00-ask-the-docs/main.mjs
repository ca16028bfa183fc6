#!/usr/bin/env node
// `npm start`: reads documentation, keeps its passages in a lake, and answers questions from them.
import { stat } from "node:fs/promises";
import path from "node:path";
import { RuLakeError } from "rulake";
import { OnnxEmbeddings } from "rulake/langchain";
import { answerChain } from "./answer.mjs";
import { help, readArguments, UsageError } from "./arguments.mjs";
import { chatModel } from "./chat-model.mjs";
import { checkout, folderDocumentation, installedDocumentation } from "./corpus.mjs";
import { ingest } from "./ingest.mjs";
import { bodyOf } from "./passages.mjs";
import { integer, Progress } from "./progress.mjs";
import { bytesBelow, laidOut, painter, sourceLines, statisticsLines } from "./report.mjs";
import { openStore, storePath } from "./store.mjs";

/**
 * @typedef {import("./arguments.mjs").Arguments} Arguments
 * @typedef {import("rulake/langchain").RuLakeVectorStore} Store
 * @typedef {import("./report.mjs").Answer} Answer
 */

/** The first is asked when none is given, the others are proposed. */
const questions = [
  "How do I turn off colours in the terminal output?",
  "How can I limit how many promises run at the same time?",
  "How do I make an option required in commander?",
  "How does rulake store its index on disk?",
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
  /** @type {Store} */ store,
  /** @type {AbortSignal} */ signal,
) {
  const progress = new Progress(process.stderr, "rulake: embedding");
  try {
    return await ingest(corpus, store, { signal, onProgress: (done, total) => progress.update(done, total) });
  } finally {
    progress.end();
  }
}

/**
 * @param {string} question
 * @param {Arguments} args
 * @param {Store} store
 * @param {{ signal: AbortSignal; onWritten: ((text: string) => void) | undefined }} options
 *   `onWritten` gets the words of a chat model as they come
 * @returns {Promise<Answer>}
 */
async function ask(question, { k, model: wanted }, store, { signal, onWritten }) {
  const { name, model, note } = await chatModel(wanted, process.env);
  if (note !== undefined) say(note);
  let writer = name;
  const chain = answerChain({
    // Marginal relevance: five passages that say the same would be one passage.
    retriever: store.asRetriever({ k, searchType: "mmr", searchKwargs: { fetchK: 6 * k, lambda: 0.75 } }),
    embeddings: store.embeddings,
    model,
    onModelError: (error) => {
      writer = "none";
      say(`${name} failed (${error}); quoting instead`);
    },
  });
  const started = performance.now();
  let retrieveMs = 0;
  let answer = "";
  /** @type {import("./passages.mjs").Passage[]} */
  let passages = [];
  for await (const part of await chain.stream(question, { signal })) {
    if (part.passages !== undefined) {
      passages = part.passages;
      retrieveMs = performance.now() - started;
    }
    answer += part.answer ?? "";
    if (part.answer && writer !== "none") onWritten?.(part.answer);
  }
  return {
    question,
    answer,
    model: writer,
    sources: passages.map((passage, at) => {
      const { source, from, to, headings } = passage.metadata;
      return {
        n: at + 1,
        source,
        from,
        to,
        headings,
        text: bodyOf(passage),
        cited: answer.includes(`[${at + 1}]`),
      };
    }),
    retrieveMs,
    answerMs: performance.now() - started,
  };
}

/** Prints the answer for people. What was written live is not repeated. */
function print(
  /** @type {Answer | undefined} */ answer,
  /** @type {import("./report.mjs").Statistics} */ statistics,
  /** @type {{ root: string | undefined; isLive: boolean }} */ { root, isLive },
) {
  const paint = painter(process.stdout);
  const lines = statisticsLines(statistics, answer).map((line) => paint("dim", line));
  if (answer === undefined) {
    console.log([...lines, "", `Ask:  npm start -- --root ${root} "…"`].join("\n"));
    return;
  }
  if (isLive) console.log("\n");
  else console.log(`${laidOut(answer.answer, process.stdout)}\n`);
  console.log([...sourceLines(answer.sources, paint), "", ...lines].join("\n"));
  if (root !== undefined) return;
  const others = questions.filter((question) => question !== answer.question).slice(0, 3);
  console.log(["", "Try:", ...others.map((question) => `  npm start -- "${question}"`)].join("\n"));
}

/** @returns {Promise<number>} the exit code */
async function main() {
  const args = readArguments(process.argv.slice(2), process.env);
  const { root, json } = args;
  if (args.help) {
    console.log(help);
    return 0;
  }
  const question = args.question ?? (root === undefined ? questions[0] : undefined);

  const interruption = new AbortController();
  const { signal } = interruption;
  process.on("SIGINT", () => {
    if (signal.aborted) process.exit(130);
    interruption.abort();
  });

  const embeddings = new OnnxEmbeddings({ cache: true });
  // The model loads while files are read. If it cannot, the first text says why.
  const loaded = embeddings.embedder.ready().catch(() => {});
  const corpus = await readCorpus(root);
  const store = await openStore(args, embeddings);
  try {
    const { seconds, complete, ...report } = await update(corpus, store, signal);
    if (!complete) {
      say(
        `interrupted; ${integer(report.passages)} passages are stored, and the next run goes on from there`,
      );
      return 130;
    }
    await loaded;
    if (question !== undefined && !json) console.log(`\n${painter(process.stdout)("bold", question)}\n`);
    const isTerminal = process.stdout.isTTY && !json;
    let isLive = false;
    const onWritten = (/** @type {string} */ text) => {
      process.stdout.write(`${isLive ? "" : "  "}${text.replaceAll("\n", "\n  ")}`);
      isLive = true;
    };
    const answer =
      question === undefined
        ? undefined
        : await ask(question, args, store, { signal, onWritten: isTerminal ? onWritten : undefined });
    const location = storePath(args);
    const statistics = {
      root: root ?? checkout,
      store: location,
      ...report,
      cut: corpus.cut,
      passagesPerSecond: report.embedded / (seconds || 1),
      bytesOnDisk: await bytesBelow(path.dirname(location)),
      totalMs: performance.now(),
    };
    if (json) console.log(JSON.stringify({ ...answer, statistics }, null, 2));
    else print(answer, statistics, { root, isLive });
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    await store.close();
    await embeddings.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) {
    say(`${error.message}\nrulake: npm start -- --help  lists the options.`);
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
