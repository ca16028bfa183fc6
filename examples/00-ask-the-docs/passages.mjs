// Cuts Markdown into passages small enough for the embedding model, each with the place it comes from.
import { createHash } from "node:crypto";
import { Document } from "@langchain/core/documents";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { letters, readLines, wholeCode } from "./markdown.mjs";

/**
 * @typedef {object} Place
 * @property {string} source path of the file, relative to the root
 * @property {string} file hash of the file and of how it is cut: when it differs, the file is embedded again
 * @property {number} part number of the passage within the file, from 0
 * @property {number} parts passages of the file
 * @property {number} from first line, from 1
 * @property {number} to last line
 * @property {string[]} headings what the passage is about, widest first
 *
 * @typedef {Document<Place>} Passage
 */

/**
 * Characters of a passage: about 130 tokens, with room for the headings below the 256 that the default model reads.
 * Shorter ones would tear explanations from their examples.
 */
const CHUNK_SIZE = 500;
/** Letters a passage must have besides headings; less is the end of a table or a link to somewhere else. */
const LEAST_LETTERS = 40;
/** To be increased when the same file would be cut into other passages. */
const RECIPE = "1";

const separators = RecursiveCharacterTextSplitter.getSeparatorsForLanguage("markdown");
const splitter = new RecursiveCharacterTextSplitter({
  // LangChain's list leaves out the widest heading, and cuts before the end of a code block rather than after it.
  separators: ["\n# ", ...separators.filter((separator) => !separator.startsWith("```"))],
  chunkSize: CHUNK_SIZE,
  chunkOverlap: 0,
});

/** Changes when the passages of a file do. */
export function fingerprint(/** @type {import("./corpus.mjs").SourceFile} */ { hash }) {
  return createHash("sha256").update(`${RECIPE}\0${hash}`).digest("hex").slice(0, 32);
}

/**
 * @param {import("./corpus.mjs").SourceFile} sourceFile
 * @returns {Promise<Passage[]>}
 */
export async function passagesOf(sourceFile) {
  const { source, title } = sourceFile;
  const lines = readLines(sourceFile.text);
  // The splitter knows nothing of code blocks, where a comment looks like a heading. No text holds this character.
  const whole = lines.map(({ text, inCode }) => (inCode ? text.replace(/^#/, "\0#") : text)).join("\n");
  const chunks = (await splitter.createDocuments([whole])).filter(
    ({ pageContent }) => letters(pageContent) >= LEAST_LETTERS,
  );
  const file = fingerprint(sourceFile);
  return chunks.map(({ pageContent, metadata }, part) => {
    const { from, to } = metadata.loc.lines;
    const first = lines[from - 1];
    const body = wholeCode(pageContent.replaceAll("\0", ""), first?.inCode).replace(/\n{3,}/g, "\n\n");
    // A README mostly begins with the name of its package.
    const headings = [title, ...(first?.headings ?? []).filter((heading) => !isSame(heading, title))];
    return new Document({
      id: createHash("sha256").update(`${source}\0${part}`).digest("hex").slice(0, 32),
      // The headings are embedded with the passage: "It returns a promise" alone answers nothing.
      pageContent: `${headings.join(" › ")}\n\n${body}`,
      metadata: { source, file, part, parts: chunks.length, from, to, headings },
    });
  });
}

/** A passage as it stands in its file, without the line of headings put before it. */
export function bodyOf(/** @type {{ pageContent: string }} */ { pageContent }) {
  return pageContent.slice(pageContent.indexOf("\n\n") + 2);
}

function isSame(/** @type {string} */ a, /** @type {string} */ b) {
  return a.toLowerCase() === b.toLowerCase();
}
