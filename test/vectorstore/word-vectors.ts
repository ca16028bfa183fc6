/** Numbers in a {@link wordVector}. */
export const WORD_DIMENSIONS = 64;

/** A stand-in for a model: texts with words in common have similar vectors of length 1. Deterministic. */
export function wordVector(text: string): number[] {
  const vector = new Array<number>(WORD_DIMENSIONS).fill(0);
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
    const at = hash(word) % WORD_DIMENSIONS;
    vector[at] = (vector[at] ?? 0) + 1;
  }
  const norm = Math.hypot(...vector);
  return norm === 0 ? vector : vector.map((x) => Math.fround(x / norm));
}

/** FNV-1a. */
function hash(word: string): number {
  let value = 0x811c9dc5;
  for (const char of word) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return value;
}
