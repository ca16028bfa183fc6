import type {
  CollectionSearchParameters,
  FoundRecords,
  JobControl,
  NativeCollection,
} from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { fromNative } from "../indexes/failure.js";
import type { Metric } from "../indexes/metric.js";
import { checkOptions, describe, invalidOption } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { toFilterJson } from "./filter-json.js";
import { pickVaried } from "./mmr.js";
import { lakeCall, lakeCallNow } from "./native-call.js";
import { type Answer, isLarge, readHits, toHits, toInclude } from "./record-reader.js";
import type { CollectionHit, CollectionSearchOptions, MmrOptions } from "./records.js";
import { checkDimensions } from "./vector.js";

/** Numbers of query vectors copied for one native call. */
const QUERY_NUMBERS = 1 << 18;

/** Options of a search, checked. */
export interface CollectionSearch {
  k: number;
  parameters: CollectionSearchParameters;
  mmr: Required<{ [K in keyof MmrOptions]: number }> | undefined;
  signal: AbortSignal | undefined;
}

const names = ["k", "filter", "mmr", "recallTarget", "minScore", "include", "signal"];

/**
 * Checks options; a promise of what they ask for if the filter is large.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION`; {@link LakeError} `INVALID_K`, `INVALID_FILTER`
 */
export function toCollectionSearch<Meta extends object>(
  options: CollectionSearchOptions<Meta>,
  where: string,
): CollectionSearch | Promise<CollectionSearch> {
  checkOptions(options, names, where);
  const { k = 10, recallTarget, minScore, signal } = options;
  if (!Number.isInteger(k) || k < 1) {
    throw new LakeError(`${where}: k must be a whole number from 1, not ${describe(k)}`, {
      code: "INVALID_K",
      context: { k },
    });
  }
  if (recallTarget !== undefined && !isWithin(recallTarget, Number.MIN_VALUE, 1)) {
    throw invalidOption(where, "recallTarget", "a number above 0 and at most 1", recallTarget);
  }
  if (minScore !== undefined && (typeof minScore !== "number" || Number.isNaN(minScore))) {
    throw invalidOption(where, "minScore", "a number", minScore);
  }
  const mmr = toMmr(options.mmr, k, where);
  const include = toInclude(options.include, where);
  const complete = (filter: string | undefined): CollectionSearch => {
    return { k, parameters: { k, filter, recallTarget, minScore, include }, mmr, signal };
  };
  const filter = toFilterJson(options.filter, where);
  return typeof filter === "object" ? filter.then(complete) : complete(filter);
}

function toMmr(mmr: MmrOptions | undefined, k: number, where: string): CollectionSearch["mmr"] {
  checkMmr(mmr, where);
  if (mmr === undefined) return undefined;
  const { fetchK = Math.max(20, 4 * k), lambda = 0.5 } = mmr;
  return { fetchK: Math.max(fetchK, k), lambda };
}

/** @throws {@link ConfigError} `UNKNOWN_OPTION`, `INVALID_OPTION` */
export function checkMmr(mmr: MmrOptions | undefined, where: string): void {
  checkOptions(mmr, ["fetchK", "lambda"], `${where}, mmr`);
  const { fetchK = 1, lambda = 1 } = mmr ?? {};
  if (!Number.isInteger(fetchK) || fetchK < 1)
    throw invalidOption(where, "mmr.fetchK", "a whole number from 1", fetchK);
  if (!isWithin(lambda, 0, 1)) throw invalidOption(where, "mmr.lambda", "a number from 0 to 1", lambda);
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === "number" && value >= least && value <= most;
}

/** Searches for one vector, of the right length. */
export async function searchVector<Meta extends object>(
  handle: NativeCollection,
  vector: Float32Array,
  search: CollectionSearch,
  metric: Metric,
  where: string,
): Promise<CollectionHit<Meta>[]> {
  const { parameters, mmr, signal } = search;
  if (mmr !== undefined || parameters.include.vector) {
    const [hits = []] = await searchVectors<Meta>(handle, [vector], search, where);
    return hits;
  }
  let answer: Answer | FoundRecords;
  try {
    // What most calls need, without a function in between: a search may take less than 50 microseconds.
    answer = await (signal === undefined
      ? start(handle, vector, parameters)
      : lakeCall(where, signal, (control) => start(handle, vector, parameters, control)));
  } catch (error) {
    throw signal?.aborted ? error : fromNative(error, where, LakeError);
  }
  if (Array.isArray(answer)) {
    if (isLarge(answer[2]) && isTurnOver()) await nextTurn();
    return toHits(answer, metric);
  }
  const [hits = []] = await readHits<Meta>(answer, where);
  return hits;
}

function start(
  handle: NativeCollection,
  vector: Float32Array,
  { k, filter, recallTarget, minScore, include }: CollectionSearchParameters,
  control?: JobControl,
): Promise<Answer | FoundRecords> {
  const parts = (include.text ? 1 : 0) + (include.metadata ? 2 : 0);
  return handle.search(vector, k, parts, filter, recallTarget, minScore, control);
}

/** Searches for each vector, several in one native call. */
export async function searchVectors<Meta extends object>(
  handle: NativeCollection,
  vectors: readonly Float32Array[],
  { k, parameters, mmr, signal }: CollectionSearch,
  where: string,
): Promise<CollectionHit<Meta>[][]> {
  const expected = lakeCallNow(where, () => handle.dimensions) ?? vectors[0]?.length;
  vectors.forEach((vector, i) => {
    checkDimensions(vector, expected, vectors.length === 1 ? "vector" : `vectors[${i}]`, where);
  });
  const wanted =
    mmr === undefined
      ? parameters
      : { ...parameters, k: mmr.fetchK, include: { ...parameters.include, vector: true } };
  const perCall = Math.max(1, Math.floor(QUERY_NUMBERS / (expected ?? 1)));
  const answers: CollectionHit<Meta>[][] = [];
  for (let start = 0; start < vectors.length; start += perCall) {
    const group = vectors.slice(start, start + perCall);
    const found = await lakeCall(where, signal, (control) =>
      handle.searchBatch(concat(group), group.length, wanted, control),
    );
    for (const hits of await readHits<Meta>(found, where)) answers.push(hits);
  }
  if (mmr === undefined) return answers;
  for (const [i, hits] of answers.entries()) {
    const candidates = hits.map((hit) => hit.vector ?? new Float32Array(0));
    const query = vectors[i] ?? new Float32Array(0);
    const picked = await pickVaried(query, candidates, k, mmr.lambda, signal);
    answers[i] = picked.flatMap((position) => withoutVector(hits[position], parameters.include.vector));
  }
  return answers;
}

function withoutVector<Meta extends object>(
  hit: CollectionHit<Meta> | undefined,
  keep: boolean,
): CollectionHit<Meta>[] {
  if (hit === undefined) return [];
  if (!keep) delete hit.vector;
  return [hit];
}

function concat(vectors: readonly Float32Array[]): Float32Array {
  const [first] = vectors;
  if (vectors.length === 1 && first !== undefined) return first;
  const matrix = new Float32Array(vectors.reduce((sum, vector) => sum + vector.length, 0));
  let end = 0;
  for (const vector of vectors) {
    matrix.set(vector, end);
    end += vector.length;
  }
  return matrix;
}
