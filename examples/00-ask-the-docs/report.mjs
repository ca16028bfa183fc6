// What the user sees: the answer, where it stands, and what it took.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { styleText } from "node:util";
import { duration, integer } from "./progress.mjs";

/**
 * @typedef {import("./answer.mjs").Answer} Answer
 *
 * @typedef {object} Statistics
 * @property {string} root the folder that was read
 * @property {string} store where the passages are, as `<lake>/<collection>`
 * @property {number} files
 * @property {string[]} cut files of which only the beginning was read
 * @property {number} passages stored now
 * @property {number} embedded passages embedded in this run
 * @property {number} removed passages that are gone or were replaced
 * @property {string[]} updated files with passages embedded in this run
 * @property {number} passagesPerSecond embedded and stored; 0 when nothing was new
 * @property {number} bytesOnDisk
 * @property {number} totalMs since the process started
 */

const COLUMNS = 100;

/** Colours for a terminal that has them. */
export function painter(/** @type {NodeJS.WriteStream} */ stream) {
  const hasColors = stream.isTTY && stream.hasColors();
  return (/** @type {"bold" | "dim" | "cyan"} */ style, /** @type {string} */ text) =>
    hasColors ? styleText(style, text) : text;
}

/**
 * The result for people.
 *
 * @param {Answer | undefined} answer
 * @param {Statistics} statistics
 * @param {{ isWritten: boolean; hints: string[] }} options `isWritten`: the answer itself is on the screen already
 */
export function report(answer, statistics, { isWritten, hints }) {
  const paint = painter(process.stdout);
  const blocks = [
    ...(answer && !isWritten ? [laidOut(answer.answer, process.stdout)] : []),
    ...(answer ? [sourceLines(answer.sources, paint).join("\n")] : []),
    statisticsLines(statistics, answer)
      .map((line) => paint("dim", line))
      .join("\n"),
    hints.join("\n"),
  ];
  return blocks.join("\n\n");
}

/** The answer with lines that fit the terminal; code and short lines stay as they are. */
function laidOut(/** @type {string} */ answer, /** @type {NodeJS.WriteStream} */ stream) {
  const width = Math.min(stream.columns || COLUMNS, COLUMNS) - 2;
  let inCode = false;
  return answer
    .split("\n")
    .flatMap((line) => {
      if (line.startsWith("```")) {
        inCode = !inCode;
        return [];
      }
      return inCode ? [`    ${line}`] : wrapped(line, width);
    })
    .map((line) => `  ${line}`.trimEnd())
    .join("\n");
}

function wrapped(/** @type {string} */ line, /** @type {number} */ width) {
  const lines = [""];
  for (const word of line.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** `[1] path:line  headings`, those that are not cited in the answer dimmed. */
function sourceLines(
  /** @type {Answer["sources"]} */ sources,
  /** @type {ReturnType<typeof painter>} */ paint,
) {
  return sources.map(({ n, source, from, headings, cited }) => {
    const place = `${source}:${from}`;
    const about = paint("dim", headings.join(" › "));
    return `  ${cited ? paint("cyan", `[${n}] ${place}`) : paint("dim", `[${n}] ${place}`)}  ${about}`;
  });
}

/** Lines of numbers: what was read and stored, and how long things took. */
function statisticsLines(/** @type {Statistics} */ statistics, /** @type {Answer | undefined} */ answer) {
  const { files, passages, embedded, removed, passagesPerSecond, bytesOnDisk, totalMs } = statistics;
  const rate = `${integer(embedded)} new, ${integer(Math.round(passagesPerSecond))}/s`;
  const changes = [...(embedded > 0 ? [rate] : []), ...(removed > 0 ? [`${integer(removed)} removed`] : [])];
  const stored = `${integer(passages)} passages${changes.length > 0 ? ` (${changes.join("; ")})` : ""}`;
  const times = answer && [
    `passages found in ${answer.retrieveMs.toFixed(0)} ms`,
    `answered in ${answer.answerMs.toFixed(0)} ms`,
  ];
  return [
    [`${integer(files)} files`, stored, `${(bytesOnDisk / 1e6).toFixed(1)} MB on disk`].join(" · "),
    [...(times ?? []), `${duration(totalMs / 1000)} in all`].join(" · "),
  ];
}

/** Bytes of the files below a folder. */
export async function bytesBelow(/** @type {string} */ folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(path.join(entry.parentPath ?? entry.path, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
