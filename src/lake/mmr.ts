import { isTurnOver, nextTurn } from "../turns.js";

/** Multiplications in one turn of the event loop: about half a millisecond. */
const TURN_PRODUCTS = 1 << 18;

/**
 * Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): picks one candidate after the other, each time the one
 * with the largest `lambda * relevance - (1 - lambda) * redundancy`, where relevance is its cosine with the query and
 * redundancy its largest cosine with those already picked. Ties go to the earlier candidate.
 *
 * @param query - vector of `d` numbers
 * @param candidates - vectors of `d` numbers, best first
 * @param k - picks to make, at most
 * @param lambda - 1 = relevance only, 0 = variety only
 * @returns positions in `candidates`, in the order they were picked. `O(k * candidates * d)`.
 */
export function maximalMarginalRelevance(
  query: Float32Array,
  candidates: readonly Float32Array[],
  k: number,
  lambda: number,
): number[] {
  const picking = pick(query, candidates, k, lambda);
  for (;;) {
    const step = picking.next();
    if (step.done) return step.value;
  }
}

/** {@link maximalMarginalRelevance} for any number of candidates, without holding up the event loop. */
export async function pickVaried(
  query: Float32Array,
  candidates: readonly Float32Array[],
  k: number,
  lambda: number,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const picking = pick(query, candidates, k, lambda);
  for (;;) {
    if (isTurnOver()) await nextTurn();
    signal?.throwIfAborted();
    const step = picking.next();
    if (step.done) return step.value;
  }
}

/** The algorithm; yields where a turn of the event loop may end. */
function* pick(
  query: Float32Array,
  candidates: readonly Float32Array[],
  k: number,
  lambda: number,
): Generator<undefined, number[], undefined> {
  // A product also stands for looking at one candidate, of which a pick looks at all.
  const perTurn = Math.max(1, Math.floor(TURN_PRODUCTS / (query.length + 1)));
  let compared = 0;
  const queryNorm = Math.sqrt(dot(query, query));
  const norms = new Float64Array(candidates.length);
  const relevance = new Float64Array(candidates.length);
  for (const [i, vector] of candidates.entries()) {
    norms[i] = Math.sqrt(dot(vector, vector));
    relevance[i] = cosine(dot(query, vector), queryNorm, norms[i] ?? 0);
    if (++compared % perTurn === 0) yield;
  }
  const redundancy = new Float64Array(candidates.length).fill(Number.NEGATIVE_INFINITY);
  const open = new Set(candidates.keys());
  const picked: number[] = [];
  while (picked.length < k && open.size > 0) {
    let best = -1;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (const i of open) {
      const repeated = picked.length === 0 ? 0 : (redundancy[i] ?? 0);
      const value = lambda * (relevance[i] ?? 0) - (1 - lambda) * repeated;
      if (value > bestValue || best < 0) {
        best = i;
        bestValue = value;
      }
    }
    picked.push(best);
    open.delete(best);
    const last = candidates[best];
    if (last === undefined) break;
    for (const i of open) {
      const vector = candidates[i];
      if (vector === undefined) continue;
      const similarity = cosine(dot(last, vector), norms[best] ?? 0, norms[i] ?? 0);
      redundancy[i] = Math.max(redundancy[i] ?? similarity, similarity);
      if (++compared % perTurn === 0) yield;
    }
  }
  return picked;
}

function cosine(product: number, a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : product / (a * b);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
