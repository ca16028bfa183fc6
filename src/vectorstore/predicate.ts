import { nextTurn } from "../turns.js";

/** Candidates of the first round for each record wanted. */
const FIRST = 4;
const SMALLEST = 64;
const GROWTH = 4;
/** Predicate calls in one turn of the event loop. */
const TURN = 500;

/**
 * The best `k` records that a predicate accepts: searches with a growing number of candidates until `k` are accepted
 * or no candidates are left, so that the outcome is as if the predicate had been applied before the search.
 *
 * The predicate sees each record once, best first. A record in `n` is accepted: about `5 k n` are fetched.
 *
 * @param search - the best `count` records, or all when there are fewer
 */
export async function searchAccepted<Hit extends { id: string }>(
  search: (count: number) => Promise<Hit[]>,
  accept: (hit: Hit) => boolean,
  k: number,
): Promise<Hit[]> {
  const verdicts = new Map<string, boolean>();
  for (let count = Math.max(SMALLEST, FIRST * k); ; count *= GROWTH) {
    const hits = await search(count);
    const accepted: Hit[] = [];
    for (const hit of hits) {
      let verdict = verdicts.get(hit.id);
      if (verdict === undefined) {
        verdict = accept(hit);
        verdicts.set(hit.id, verdict);
        if (verdicts.size % TURN === 0) await nextTurn();
      }
      if (verdict) accepted.push(hit);
      if (accepted.length === k) return accepted;
    }
    if (hits.length < count) return accepted;
  }
}
