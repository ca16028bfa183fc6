/** Elements whose text is no prose. */
const SKIPPED = ["head", "script", "style", "pre", "nav", "footer", "table", "svg", "math", "textarea"];
const SKIP = new RegExp(`<(${SKIPPED.join("|")})\\b[^>]*>[\\s\\S]*?</\\1\\s*>|<!--[\\s\\S]*?-->`, "gi");
const BLOCK =
  /<\/?(?:p|div|section|article|main|body|h[1-6]|li|ul|ol|dl|dt|dd|blockquote|aside|header|hr|form|center|figure|figcaption|details|summary)\b[^>]*>/gi;
const ENTITIES = new Map(
  [
    ...[
      ["amp", "&"],
      ["lt", "<"],
      ["gt", ">"],
      ["quot", '"'],
      ["apos", "'"],
      ["nbsp", " "],
      ["ndash", "–"],
    ],
    ...[
      ["mdash", "—"],
      ["lsquo", "‘"],
      ["rsquo", "’"],
      ["ldquo", "“"],
      ["rdquo", "”"],
      ["hellip", "…"],
    ],
  ].map(([name, text]) => /** @type {[string, string]} */ ([name, text])),
);

/** Full stops after these end no sentence. */
const ABBREVIATION =
  /(?:^|[\s(])(?:e\.g|i\.e|cf|vs|resp|approx|Fig|Eq|Sec|Ref|No|Vol|Dr|Mr|Mrs|St|al|[A-Z])\.$/;

const LENGTH = { least: 30, most: 240 };
const LEAST_WORDS = 5;

/** Letters and spaces among the characters; formulas, signatures and paths have fewer. */
const LEAST_LETTERS = 0.88;

/** Of the words of an English sentence, some are these. */
const ENGLISH = new Set(
  (
    "the of to is and a that this for with are be it can by or from which when if you not an as will has have was " +
    "should must on your at these its there their they may but only used use each any all does then into than using"
  ).split(" "),
);
const LEAST_ENGLISH = { words: 2, share: 0.15 };

/**
 * The paragraphs of an HTML page, without code, tables and navigation.
 *
 * @param {string} html
 */
export function paragraphsOfHtml(html) {
  return html
    .replaceAll(SKIP, "\0")
    .replaceAll(BLOCK, "\0")
    .replaceAll(/<br\b[^>]*>/gi, " ")
    .replaceAll(/<[^>]*>/g, "")
    .split("\0")
    .map((text) => text.replaceAll(/&(#?\w+);/g, decodeEntity));
}

/**
 * The paragraphs of a text file: blocks between blank lines. Indented blocks (code, lists of options) are left out.
 *
 * @param {string} text
 */
export function paragraphsOfText(text) {
  return text.split(/\r?\n\s*\n/).filter((block) => /^\S/.test(block));
}

/**
 * The sentences of a paragraph that are whole and mostly words.
 *
 * @param {string} paragraph
 */
export function sentencesOf(paragraph) {
  const text = paragraph.replaceAll(/[¶\s]+/g, " ").trim();
  const sentences = [];
  let from = 0;
  for (const match of text.matchAll(/[.!?]["'”’)\]]*(?= +["'“‘([]?[A-Z0-9]|$)/g)) {
    const end = match.index + match[0].length;
    const sentence = text.slice(from, end);
    if (end < text.length && ABBREVIATION.test(sentence)) continue;
    from = end + 1;
    if (isProse(sentence)) sentences.push(sentence);
  }
  return sentences;
}

/**
 * Whether a sentence has the small words that English is full of: manuals come in several languages, the model knows one.
 *
 * @param {string} sentence
 */
export function isEnglish(sentence) {
  const words = sentence
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "");
  const known = words.filter((word) => ENGLISH.has(word)).length;
  return known >= LEAST_ENGLISH.words && known >= words.length * LEAST_ENGLISH.share;
}

/**
 * What two sentences share that only differ in case, numbers and signs, as generated pages are full of.
 *
 * @param {string} sentence
 */
export function kernelOf(sentence) {
  return sentence
    .toLowerCase()
    .replaceAll(/[^\p{L}]+/gu, " ")
    .trim();
}

/** @param {string} sentence */
function isProse(sentence) {
  const { length } = sentence;
  if (length < LENGTH.least || length > LENGTH.most || !/^["'“‘(]?[A-Z]/.test(sentence)) return false;
  const letters = sentence.replaceAll(/[^A-Za-z ]+/g, "").length;
  return letters >= length * LEAST_LETTERS && sentence.split(" ").length >= LEAST_WORDS;
}

/**
 * @param {string} whole
 * @param {string} name
 */
function decodeEntity(whole, name) {
  if (!name.startsWith("#")) return ENTITIES.get(name) ?? whole;
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10);
  return code > 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : whole;
}
