import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { OnnxEmbedder } from "../../dist/embeddings.mjs";
import { readFloats } from "./matrix.mjs";
import { Progress } from "./progress.mjs";

/** Texts between two writes to disk. */
const PORTION = 1024;

/**
 * Embeds texts. The vectors done so far are kept in `folder`, so a run that was stopped goes on where it was, also with
 * more texts after the same first ones.
 *
 * @param {string[]} texts
 * @param {string} folder
 */
export async function embedTexts(texts, folder) {
  const embedder = new OnnxEmbedder({ model: "all-MiniLM-L6-v2", dtype: "int8", workers: 2 });
  try {
    await embedder.ready();
    const { dimensions } = embedder;
    const file = await embedAll(embedder, texts, folder);
    return { dimensions, matrix: readFloats(file, { first: texts.length * dimensions }) };
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
  // Of the first texts only: they tell the data, and more may follow.
  const digest = createHash("sha256")
    .update(JSON.stringify(texts.slice(0, PORTION)))
    .digest("hex");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== digest) {
    writeFileSync(file, "");
    writeFileSync(stamp, digest);
  }
  let done = Math.floor(statSync(file).size / rowBytes);
  if (done < texts.length) truncateSync(file, done * rowBytes);
  const progress = new Progress("texts embedded", texts.length, { from: done, everySeconds: 10 });
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
