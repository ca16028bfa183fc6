/** How the vectors of a text's tokens become one: their mean, the first (`cls`), the last, or the largest per dimension. */
export type Pooling = "mean" | "cls" | "last" | "max";

/** Every {@link Pooling}. */
export const POOLINGS: readonly Pooling[] = ["mean", "cls", "last", "max"];

/**
 * Pools `tokens` row-major vectors of `width` numbers. There is no mask: every text runs alone, so nothing is padding.
 */
export function pool(values: Float32Array, tokens: number, width: number, pooling: Pooling): Float32Array {
  switch (pooling) {
    case "cls":
      return values.slice(0, width);
    case "last":
      return values.slice((tokens - 1) * width, tokens * width);
    case "max":
      return fold(values, tokens, width, Math.max, Number.NEGATIVE_INFINITY);
    case "mean": {
      const sums = new Float64Array(width);
      for (let token = 0; token < tokens; token++) {
        const row = token * width;
        for (let i = 0; i < width; i++) sums[i] = (sums[i] as number) + (values[row + i] as number);
      }
      return Float32Array.from(sums, (sum) => sum / tokens);
    }
  }
}

function fold(
  values: Float32Array,
  tokens: number,
  width: number,
  combine: (a: number, b: number) => number,
  start: number,
): Float32Array {
  const out = new Float32Array(width).fill(start);
  for (let at = 0; at < tokens * width; at++)
    out[at % width] = combine(out[at % width] as number, values[at] as number);
  return out;
}

/** The mean of vectors, each weighted (by its number of tokens). */
export function weightedMean(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const width = vectors[0]?.length ?? 0;
  const sums = new Float64Array(width);
  let total = 0;
  vectors.forEach((vector, n) => {
    const weight = weights[n] ?? 0;
    total += weight;
    for (let i = 0; i < width; i++) sums[i] = (sums[i] as number) + weight * (vector[i] as number);
  });
  return Float32Array.from(sums, (sum) => (total > 0 ? sum / total : 0));
}

/** Scales to length 1 in place; a zero vector stays zero. */
export function normalizeInPlace(vector: Float32Array): Float32Array {
  let square = 0;
  for (let i = 0; i < vector.length; i++) square += (vector[i] as number) * (vector[i] as number);
  if (square === 0) return vector;
  const scale = 1 / Math.sqrt(square);
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) * scale;
  return vector;
}

/** IEEE 754 half precision to single, for models whose output is fp16. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
