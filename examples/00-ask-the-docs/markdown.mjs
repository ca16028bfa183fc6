// Markdown as a reader sees it, line by line: what is cut and cited keeps the line numbers of the file.

const LINKED_PICTURE = /\[!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])\](\([^)]*\)|\[[^\]]*\])/g;
const PICTURE = /!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g;
const LINK_TARGET = /^\s{0,3}\[[^\]]+\]:\s.*/;
/** Only elements that documentation is set in: `<T>` and `<file>` are words. */
const HTML =
  /<\/?(a|b|br|center|dd|details|div|dl|dt|em|h[1-6]|hr|i|img|kbd|p|picture|source|span|strong|sub|summary|sup|table|tbody|td|th|thead|tr)(\s[^>]*)?\/?>/gi;
const FENCE = /^\s*(```+|~~~+)/;
/** Sections that list people or offers; nobody asks for them, and they come near to every question. */
const BYLINES = /^\W*(contributors|sponsors|backers|maintainers|team|credits)\b|for enterprise$/i;

/**
 * @typedef {object} Line
 * @property {string} text empty where there is nothing to read: comments, badges, pictures, link targets
 * @property {boolean} inCode continues a code block begun above
 * @property {string[]} headings the headings it stands under, widest first
 */

/** @returns {Line[]} as many as the text has lines */
export function readLines(/** @type {string} */ markdown) {
  const blank = (/** @type {string} */ comment) => comment.replace(/[^\n]+/g, "");
  let fence = "";
  /** @type {{ level: number; text: string }[]} */
  let open = [];
  return markdown
    .replace(/<!--[\s\S]*?-->/g, blank)
    .split("\n")
    .map((line) => {
      const inCode = fence !== "";
      const mark = FENCE.exec(line)?.[1] ?? "";
      if (!inCode) fence = mark;
      else if (mark.startsWith(fence)) fence = "";
      const text = inCode || mark !== "" ? line : withoutMarkup(line);
      const [, marks, heading] = (!inCode && /^(#{1,6})\s+(.*?)\s*#*$/.exec(text)) || [];
      if (marks !== undefined && heading) {
        open = [
          ...open.filter(({ level }) => level < marks.length),
          { level: marks.length, text: plain(heading) },
        ];
      }
      const headings = open.map((each) => each.text);
      return { text: headings.some((each) => BYLINES.test(each)) ? "" : text, inCode, headings };
    });
}

/** What is linked is read, where it leads is not. */
const LINK = /\[([^\][]+)\](\([^()\s]*(\([^()]*\)[^()\s]*)*( "[^"]*")?\)|\[[^\]]*\])/g;

function withoutMarkup(/** @type {string} */ line) {
  const kept = [LINK_TARGET, LINKED_PICTURE, PICTURE, HTML]
    .reduce((text, markup) => text.replace(markup, ""), line)
    .replace(LINK, "$1");
  // The columns of tables are padded for the eye; the model would pay for every space.
  return (
    kept.trimStart().startsWith("|") ? kept.replace(/ {2,}/g, " ").replace(/-{4,}/g, "---") : kept
  ).trimEnd();
}

/** A piece of Markdown whose code blocks begin and end: one begun before it is opened, one that goes on is closed. */
export function wholeCode(/** @type {string} */ markdown, continues = false) {
  const begun = continues ? `\`\`\`\n${markdown}`.replace(/^```\n\s*```\s*/, "") : markdown;
  const marks = begun.match(/^\s*(```|~~~)/gm)?.length ?? 0;
  return marks % 2 === 0 ? begun : `${begun}\n\`\`\``;
}

/** Text without emphasis, code marks and links. */
function plain(/** @type {string} */ markdown) {
  return markdown
    .replace(LINK, "$1")
    .replace(/(\*\*|__)(?=\S)(.+?)\1/g, "$2")
    .replace(/(?<![\w*])[*_](?=\S)([^*_]+?)[*_](?![\w*])/g, "$1")
    .replace(/`([^`]*)`/g, "$1")
    .replace(/\\(?=[|*_<>[\]])/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

/** Letters outside headings. */
export function letters(/** @type {string} */ markdown) {
  return markdown.replace(/^#{1,6}\s.*$/gm, "").match(/\p{L}/gu)?.length ?? 0;
}

/**
 * @typedef {object} Piece
 * @property {string} text a sentence, plain, or a code block
 * @property {boolean} isCode
 * @property {number} paragraph number of the paragraph, list item or table row it belongs to
 * @property {string} heading the heading above it inside the text that was given, "" if there is none
 */

const TABLE_ROW = /^\||\s\|\s.*\s\|\s/;
const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });
/** Words of a table cell that says something. */
const CELL_WORDS = 5;

/**
 * The sentences of prose, list items and table rows, and the code blocks between them, in order.
 *
 * @returns {Piece[]}
 */
export function pieces(/** @type {string} */ markdown) {
  /** @type {Piece[]} */
  const found = [];
  let heading = "";
  let number = 0;
  let paragraph = "";
  /** @type {string[] | undefined} */
  let code;
  const endParagraph = () => {
    for (const { segment } of segmenter.segment(plain(paragraph))) {
      if (letters(segment) > 0)
        found.push({ text: segment.trim(), isCode: false, paragraph: number, heading });
    }
    paragraph = "";
    number++;
  };
  for (const line of markdown.split("\n")) {
    const text = line.trim();
    if (FENCE.test(line)) {
      endParagraph();
      if (code !== undefined) found.push({ text: undented(code), isCode: true, paragraph: number, heading });
      code = code === undefined ? [] : undefined;
    } else if (code !== undefined) code.push(line);
    else if (text === "" || /^(#{1,6}\s|[-*_=]{3,}$)/.test(text)) {
      endParagraph();
      if (text.startsWith("#")) heading = plain(text.replace(/^#+|#+$/g, ""));
    } else if (TABLE_ROW.test(text)) {
      endParagraph();
      const [name, ...cells] = text
        .split(/(?<!\\)\|/)
        .map(plain)
        .filter(Boolean);
      const longest = cells.reduce((long, cell) => (cell.length > long.length ? cell : long), "");
      if (longest.split(" ").length >= CELL_WORDS) paragraph = `${name}: ${longest}`;
      endParagraph();
    } else {
      if (/^([-*+]|\d+[.)])\s/.test(text)) endParagraph();
      paragraph += ` ${text.replace(/^([-*+]|\d+[.)]|>)\s+(\[!\w+\])?/, "").replace(/\\$/, "")}`;
    }
  }
  endParagraph();
  return found;
}

/** Code of a list item without the item's indentation. */
function undented(/** @type {string[]} */ lines) {
  const depths = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  return lines
    .map((line) => line.slice(Math.min(...depths)))
    .join("\n")
    .trimEnd();
}
