import {
  FlatF32Index,
  type Metric,
  RabitqAsymIndex,
  RabitqIndex,
  RabitqIvfIndex,
  RabitqPlusIndex,
} from "rulake";

/** Every index class. */
export const classes = { FlatF32Index, RabitqIndex, RabitqPlusIndex, RabitqAsymIndex, RabitqIvfIndex };

/** Those that keep the vectors, and with them exact distances. */
export const exactClasses = { FlatF32Index, RabitqPlusIndex, RabitqIvfIndex };

export const metrics: Metric[] = ["cosine", "ip", "l2"];

/** mulberry32: the same numbers in [0, 1) on every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** n x dimensions numbers in clusters, as embeddings are. */
export function clustered(n: number, dimensions: number, seed = 1): Float32Array {
  const random = randomNumbers(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centers = Array.from({ length: 16 }, () => Array.from({ length: dimensions }, normal));
  const vectors = new Float32Array(n * dimensions);
  for (let i = 0; i < n; i++) {
    const center = centers[Math.floor(random() * 16)] ?? [];
    for (let j = 0; j < dimensions; j++) vectors[i * dimensions + j] = (center[j] ?? 0) + 0.7 * normal();
  }
  return vectors;
}

/** Any finite numbers, quickly: for tests that look at time rather than answers. */
export function noise(n: number, dimensions: number): Float32Array {
  const vectors = new Float32Array(n * dimensions);
  let state = 12345;
  for (let i = 0; i < vectors.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    vectors[i] = state / 2 ** 31;
  }
  return vectors;
}

/** Row i of a matrix. */
export function row(matrix: Float32Array, dimensions: number, i: number): Float32Array {
  return matrix.subarray(i * dimensions, (i + 1) * dimensions);
}

/** The raw distance in double precision, by the book. */
function distance(a: Float32Array, b: Float32Array, metric: Metric): number {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  let squares = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0];
    dot += x * y;
    aa += x * x;
    bb += y * y;
    squares += (x - y) ** 2;
  }
  if (metric === "ip") return -dot;
  if (metric === "l2") return Math.sqrt(squares);
  return aa === 0 || bb === 0 ? 1 : 1 - dot / Math.sqrt(aa * bb);
}

/** Rows and raw distances of the k nearest, ties by position. */
export function nearest(matrix: Float32Array, query: Float32Array, k: number, metric: Metric) {
  const dimensions = query.length;
  const all = Array.from({ length: matrix.length / dimensions }, (_, id) => ({
    id,
    distance: distance(row(matrix, dimensions, id), query, metric),
  }));
  return all.sort((a, b) => a.distance - b.distance || a.id - b.id).slice(0, k);
}
