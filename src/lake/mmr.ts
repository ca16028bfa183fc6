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
  const norms = candidates.map((vector) => Math.sqrt(dot(vector, vector)));
  const queryNorm = Math.sqrt(dot(query, query));
  const relevance = candidates.map((vector, i) => cosine(dot(query, vector), queryNorm, norms[i] ?? 0));
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
