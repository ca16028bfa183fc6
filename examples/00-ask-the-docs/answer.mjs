// From a question to a cited answer: a LangChain chain of retriever, prompt and chat model, or, with no model, of
// retriever and quotes.
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda, RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import { chatModel } from "./chat-model.mjs";
import { bodyOf } from "./passages.mjs";
import { quote } from "./quotes.mjs";

/**
 * @typedef {import("./passages.mjs").Passage} Passage
 * @typedef {{ question: string; passages: Passage[] }} Retrieved
 *
 * @typedef {object} Source
 * @property {number} n number it is cited by, from 1
 * @property {string} source path of the file, relative to the root
 * @property {number} from first line
 * @property {number} to last line
 * @property {string[]} headings
 * @property {string} text
 * @property {boolean} cited
 *
 * @typedef {object} Answer
 * @property {string} question
 * @property {string} answer with citations like [2]
 * @property {string} model "none" when it is quoted
 * @property {Source[]} sources
 * @property {number} retrieveMs embedding the question and searching
 * @property {number} answerMs retrieving and answering
 */

const prompt = ChatPromptTemplate.fromMessages([
  [
    "system",
    "Answer the question from the numbered passages of documentation below, briefly, with code where it helps. " +
      "Put the number of the passage after each statement, like [2]. " +
      "If the passages do not answer the question, say so instead of guessing.",
  ],
  ["human", "{context}\n\nQuestion: {question}"],
]);

/**
 * A chain from a question to passages and an answer that cites them by number, from 1.
 *
 * @param {object} parts
 * @param {import("@langchain/core/retrievers").BaseRetrieverInterface} parts.retriever
 * @param {import("@langchain/core/embeddings").EmbeddingsInterface} parts.embeddings
 * @param {import("@langchain/core/language_models/chat_models").BaseChatModel | undefined} parts.model
 * @param {(error: string) => void} parts.onModelError the model failed; the answer is quoted instead
 */
export function answerChain({ retriever, embeddings, model, onModelError }) {
  const quoted = RunnableSequence.from([
    RunnableLambda.from((/** @type {Retrieved} */ retrieved) => quote(retrieved, embeddings)),
    new StringOutputParser(),
  ]);
  const written =
    model &&
    RunnableSequence.from([
      (/** @type {Retrieved} */ { question, passages }) => ({ question, context: numbered(passages) }),
      prompt,
      model.withListeners({ onError: ({ error }) => onModelError(`${error}`.split("\n")[0] ?? "") }),
      new StringOutputParser(),
    ]).withFallbacks([quoted]);
  return RunnableSequence.from([
    { question: new RunnablePassthrough(), passages: retriever },
    RunnablePassthrough.assign({ answer: written ?? quoted }),
  ]);
}

/** The passages as a model reads them. */
function numbered(/** @type {Passage[]} */ passages) {
  return passages
    .map(({ pageContent, metadata }, at) => `[${at + 1}] ${metadata.source}:${metadata.from}\n${pageContent}`)
    .join("\n\n");
}

/**
 * @param {string} question
 * @param {import("./ingest.mjs").Store} store
 * @param {object} options
 * @param {number} options.k passages to answer from
 * @param {string | undefined} options.model name of a provider, or "none"; by default the one that is configured
 * @param {AbortSignal} options.signal
 * @param {(text: string) => void} options.onWritten gets the words of a chat model as they come
 * @param {(note: string) => void} options.onNote told why a configured model does not answer
 * @returns {Promise<Answer>}
 */
export async function ask(question, store, { k, model: wanted, signal, onWritten, onNote }) {
  const { name, model, note } = await chatModel(wanted, process.env);
  if (note !== undefined) onNote(note);
  let writer = name;
  const chain = answerChain({
    // Marginal relevance: five passages that say the same would be one passage.
    retriever: store.asRetriever({ k, searchType: "mmr", searchKwargs: { fetchK: 6 * k, lambda: 0.75 } }),
    embeddings: store.embeddings,
    model,
    onModelError: (error) => {
      writer = "none";
      onNote(`${name} failed (${error}); quoting instead`);
    },
  });
  const started = performance.now();
  let retrieveMs = 0;
  let answer = "";
  /** @type {Passage[]} */
  let passages = [];
  for await (const part of await chain.stream(question, { signal })) {
    if (part.passages !== undefined) {
      passages = part.passages;
      retrieveMs = performance.now() - started;
    }
    answer += part.answer ?? "";
    if (part.answer && writer !== "none") onWritten(part.answer);
  }
  const sources = passages.map((passage, at) => sourceOf(passage, at + 1, answer));
  return { question, answer, model: writer, sources, retrieveMs, answerMs: performance.now() - started };
}

/** @returns {Source} */
function sourceOf(/** @type {Passage} */ passage, /** @type {number} */ n, /** @type {string} */ answer) {
  const { source, from, to, headings } = passage.metadata;
  // `list[1]` in code is no citation.
  const cited = answer.replace(/```[\s\S]*?```/g, "").includes(`[${n}]`);
  return { n, source, from, to, headings, text: bodyOf(passage), cited };
}
