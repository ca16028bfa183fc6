// An answer without a chat model: the sentences that are nearest to the question, word for word.
import { pieces } from "./markdown.mjs";
import { bodyOf } from "./passages.mjs";

/**
 * @typedef {import("./passages.mjs").Passage} Passage
 * @typedef {import("./markdown.mjs").Piece} Piece
 * @typedef {import("@langchain/core/embeddings").EmbeddingsInterface} Embeddings
 * @typedef {{ passage: number; at: number; score: number; vector: number[] }} Candidate a sentence, by its place
 */

/** Sentences in a quoted answer, besides those they lean on. */
const QUOTES = 3;
/** Cosine with the question below which a sentence answers nothing, and how much worse than the best one it may be. */
const LEAST_SCORE = 0.42;
const RELATIVE_SCORE = 0.85;
/** What the passage that was found first has over the last one: the sentence is judged by itself, the passage as a whole. */
const RANK_BONUS = 0.06;
/** Two sentences with a higher cosine say the same. */
const SAME = 0.9;
const LEAST_WORDS = 4;
const MOST_CHARACTERS = 400;
const CODE_LINES = 14;
/** A sentence that begins so says little without the one before it. */
const LEANS =
  /^(however|it|its|this|that|these|those|they|he|she|then|thus|therefore|so|but|and|or|also|otherwise|for example|for instance|in this case|if you do|by doing so|here)\b/i;
/** Code that shows how to install something, not how to use it. */
const INSTALLATION = /^\W*(npm|npx|yarn|pnpm|bun|deno)\s+(i|install|add)\b/;

/**
 * The sentences nearest to the question, each with its citation, and the code that goes with the best one.
 *
 * @param {{ question: string; passages: Passage[] }} retrieved
 * @param {Embeddings} embeddings
 */
export async function quote({ question, passages }, embeddings) {
  const texts = passages.map((passage) => pieces(bodyOf(passage)));
  const chosen = await nearest(question, passages, texts, embeddings);
  const [best] = chosen;
  if (best === undefined) return "Nothing in the documentation is near to this question.";
  const isAnswer = best.score >= LEAST_SCORE;
  const good = isAnswer ? chosen.filter(({ score }) => score >= best.score * RELATIVE_SCORE) : [best];
  const cited = [...new Set(good.map(({ passage }) => passage))].map((passage) => {
    const own = good.filter((each) => each.passage === passage).map(({ at }) => at);
    const quoted = `${joined(texts[passage] ?? [], own)} [${passage + 1}]`;
    const code = isAnswer && passage === best.passage ? codeAfter(texts[passage] ?? [], best.at) : undefined;
    return code === undefined ? quoted : `${quoted}\n\n${code}`;
  });
  if (!isAnswer) cited.unshift("Nothing in the documentation answers this directly. Nearest to it:");
  return cited.join("\n\n");
}

/**
 * The sentences nearest to the question, best first, none of them twice.
 *
 * @param {string} question
 * @param {Passage[]} passages
 * @param {Piece[][]} texts the pieces of each passage
 * @param {Embeddings} embeddings
 */
async function nearest(question, passages, texts, embeddings) {
  const places = texts.flatMap((own, passage) =>
    own.flatMap(({ text, isCode }, at) =>
      isCode || text.split(" ").length < LEAST_WORDS ? [] : [{ passage, at }],
    ),
  );
  // Embedded with the headings, like the passage: a sentence seldom repeats what it is about.
  const inContext = places.map(({ passage, at }) => {
    const { text = "", heading = "" } = texts[passage]?.[at] ?? {};
    const trail = passages[passage]?.metadata.headings ?? [];
    return `${heading || trail.at(-1)}: ${text}`;
  });
  const [wanted, vectors] = await Promise.all([
    embeddings.embedQuery(question),
    embeddings.embedDocuments(inContext),
  ]);
  const scored = places.map((place, at) => {
    const vector = vectors[at] ?? [];
    const bonus = RANK_BONUS * (1 - place.passage / passages.length);
    return { ...place, vector, score: dot(wanted, vector) + bonus };
  });
  /** @type {Candidate[]} */
  const chosen = [];
  for (const candidate of scored.sort((a, b) => b.score - a.score)) {
    if (chosen.length === QUOTES) break;
    if (chosen.every(({ vector }) => dot(vector, candidate.vector) < SAME)) chosen.push(candidate);
  }
  return chosen;
}

/** Sentences in the order of the text, with those they lean on; "…" stands for what is left out between them. */
function joined(/** @type {Piece[]} */ text, /** @type {number[]} */ chosen) {
  const quoted = new Set(chosen);
  for (const at of chosen) {
    const [before, own] = [text[at - 1], text[at]];
    if (own && before?.paragraph === own.paragraph && LEANS.test(own.text)) quoted.add(at - 1);
  }
  let result = "";
  let last = -1;
  for (const at of [...quoted].sort((a, b) => a - b)) {
    const own = clipped(text[at]?.text ?? "");
    if (last < 0) result = own;
    else if (at > last + 1) result += ` … ${own}`;
    // Items of a list seldom end in a full stop.
    else result += `${/[.!?:;…]$/.test(result) ? "" : ";"} ${own}`;
    last = at;
  }
  return result;
}

/** The first code block after a sentence, fenced. */
function codeAfter(/** @type {Piece[]} */ text, /** @type {number} */ at) {
  const code = text.find((piece, place) => place > at && piece.isCode && !INSTALLATION.test(piece.text));
  if (code === undefined) return undefined;
  const lines = code.text.split("\n");
  const shown = lines.length > CODE_LINES ? [...lines.slice(0, CODE_LINES - 1), "…"] : lines;
  return ["```", ...shown, "```"].join("\n");
}

function clipped(/** @type {string} */ text) {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, text.lastIndexOf(" ", MOST_CHARACTERS))} …`;
}

/** Cosine similarity: the vectors have length 1. */
function dot(/** @type {number[]} */ a, /** @type {number[]} */ b) {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
}
