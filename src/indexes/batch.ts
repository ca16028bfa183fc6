import type { BatchHits } from "../../native/binding.js";
import { IndexError } from "../errors.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { callNative } from "./failure.js";

/** Places copied out of the native side in one turn of the event loop: 768 KiB. */
const piece = 1 << 16;

/** Hits one batch may ask for: 1.5 GiB of ids and distances. */
const maxPlaces = 2 ** 27;

/** Answers of a batch search, `k` places for each query, in the order of the queries. */
export interface BatchResult {
  /** Ids, best first. A query with fewer than `k` hits has NaN in its last places. */
  ids: Float64Array;
  /** Raw distances, see `Hit.distance`; `Infinity` where there is no hit. */
  distances: Float32Array;
  /** Places for each query: the `k` asked for, or the size of the index if that is smaller. */
  k: number;
}

/** @throws {@link IndexError} `INVALID_ARGUMENT` for more hits than memory should be spent on */
export function checkPlaces(places: number, where: string): void {
  if (places <= maxPlaces) return;
  throw new IndexError(`${where}: ${places} hits in all are more than the ${maxPlaces} of one call`, {
    code: "INVALID_ARGUMENT",
    context: { hits: places, max: maxPlaces },
    hint: "Ask for a smaller k, or for fewer queries at a time.",
  });
}

/** Copies the answers out, in pieces that do not hold up the event loop. */
export async function readBatch(hits: BatchHits, where: string): Promise<BatchResult> {
  const { k, length } = callNative(where, () => ({ k: hits.k, length: hits.length }));
  const ids = new Float64Array(length);
  const distances = new Float32Array(length);
  for (let start = 0; start < length; start += piece) {
    if (isTurnOver()) await nextTurn();
    const end = start + piece;
    callNative(where, () => hits.read(start, ids.subarray(start, end), distances.subarray(start, end)));
  }
  return { ids, distances, k };
}
