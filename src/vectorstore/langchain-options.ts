import type { Document } from "@langchain/core/documents";
import type { MaxMarginalRelevanceSearchOptions } from "@langchain/core/vectorstores";
import { ConfigError, LakeError } from "../errors.js";
import { checkMmr } from "../lake/collection-search.js";
import type { Filter } from "../lake/filter.js";
import type { Durability, MmrOptions } from "../lake/records.js";
import { checkOptions, checkSignal, invalidOption } from "../options.js";
import type { AddProgress } from "./batches.js";
import type { RecordAdd } from "./document-store.js";
import type { StoreLocation } from "./location.js";
import { checkScore, STORE_OPTIONS, type StoreOptions } from "./store-options.js";

/**
 * Which documents count: the filter language of the lake, or a function. Both are applied before the best `k` are chosen;
 * a function runs in JavaScript over the candidates, best first, until `k` are accepted.
 */
export type DocumentFilter<Meta extends object = Record<string, unknown>> =
  | Filter<Meta>
  | ((document: Document<Meta>) => boolean);

/** Options of `RuLakeVectorStore.open`. */
export interface RuLakeVectorStoreOptions extends StoreOptions {
  /** Documents embedded and stored at a time by the adds of this store; two batches are in memory at once. Default 512. */
  batchSize?: number | undefined;
}

/** Options of the factories: where the store is, and how it is opened. */
export interface RuLakeVectorStoreLocation<Meta extends object = Record<string, unknown>>
  extends RuLakeVectorStoreOptions {
  /** `"<lake>/<collection>"`, `{ memory: true }`, or an open collection. */
  path: StoreLocation<Meta>;
}

/** Options of adds. */
export interface AddDocumentsOptions {
  /** One for each document, before the document's own id; where it is `undefined` the document's own counts. */
  ids?: readonly (string | undefined)[] | undefined;
  /** Documents embedded and stored at a time. Default: that of the store. */
  batchSize?: number | undefined;
  /** Default: that of the store. */
  durability?: Durability | undefined;
  /** Stops before the next batch; the promise rejects with the signal's reason, and what is stored stays. */
  signal?: AbortSignal | undefined;
  /**
   * Told after each stored batch. An exception stops those that follow, and the call rejects with it; after the last
   * batch it becomes a warning of the process (`RULAKE_PROGRESS`).
   */
  onProgress?: ((progress: AddProgress) => void) | undefined;
}

/** Which documents to delete: exactly one of these. */
export type DeleteDocuments<Meta extends object = Record<string, unknown>> =
  | { ids: readonly string[] }
  | { filter: DocumentFilter<Meta> }
  | { all: true }
  | { deleteAll: true };

/** Options of `RuLakeVectorStore.search`. */
export interface SearchDocumentsOptions<Meta extends object = Record<string, unknown>> {
  /** Documents to return, at least 1. Default 4, as elsewhere in LangChain. */
  k?: number | undefined;
  /** Only documents that match. */
  filter?: DocumentFilter<Meta> | undefined;
  /** Trade relevance against variety among the answers. `fetchK` is 20 by default and at least `k`. */
  mmr?: MmrOptions | undefined;
  /** Leave out documents with a lower score. Default: that of the store. */
  minScore?: number | undefined;
  /** Recall to reach on average, above 0 and at most 1. Default: that of the store. */
  recallTarget?: number | undefined;
  /** Stops embedding and searching; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

const OPEN_OPTIONS = [...STORE_OPTIONS, "batchSize"] as const;
const ADD_OPTIONS = ["ids", "batchSize", "durability", "signal", "onProgress"] as const;
const SEARCH_OPTIONS = ["k", "filter", "mmr", "minScore", "recallTarget", "signal"] as const;
const DELETE_OPTIONS = ["ids", "filter", "all", "deleteAll"] as const;
const RETRIEVER_FIELDS = [
  "k",
  "filter",
  "searchType",
  "searchKwargs",
  "minScore",
  "recallTarget",
  "vectorStore",
  "callbacks",
  "tags",
  "metadata",
  "verbose",
] as const;

/** Options of the factories that also add, apart. */
export function splitFactoryOptions<Meta extends object>(
  given: RuLakeVectorStoreLocation<Meta> & AddDocumentsOptions,
  where: string,
): { path: StoreLocation<Meta>; open: RuLakeVectorStoreOptions; add: AddDocumentsOptions } {
  checkOptions(given, ["path", ...OPEN_OPTIONS, ...ADD_OPTIONS], where);
  checkPath(given, where);
  const { path, ids, signal, onProgress, ...open } = given;
  return { path, open, add: { ids, signal, onProgress } };
}

/** Options of the factories that do not add. */
export function splitLocation<Meta extends object>(
  given: RuLakeVectorStoreLocation<Meta>,
  where: string,
): { path: StoreLocation<Meta>; open: RuLakeVectorStoreOptions } {
  checkOptions(given, ["path", ...OPEN_OPTIONS], where);
  checkPath(given, where);
  const { path, ...open } = given;
  return { path, open };
}

function checkPath(given: { path: unknown } | undefined, where: string): void {
  if (given?.path !== undefined) return;
  throw new ConfigError(`${where}: 'path' is missing`, {
    code: "INVALID_OPTION",
    context: { option: "path" },
    hint: "say where the store is: { path: './lake/docs' }, or { path: { memory: true } }",
  });
}

/** Checks the options of `open`, but for those the lake checks. */
export function checkOpenOptions(options: RuLakeVectorStoreOptions, where: string): void {
  checkOptions(options, OPEN_OPTIONS, where);
  checkBatchSize(options.batchSize, where);
}

/** The options of an add, which LangChain's stores also take as an array of ids. */
export function readAddOptions(
  given: AddDocumentsOptions | readonly (string | undefined)[] | undefined,
  where: string,
): RecordAdd {
  const options = isIdList(given) ? { ids: given } : given;
  checkOptions(options, ADD_OPTIONS, where);
  const { ids, batchSize, durability, signal, onProgress }: AddDocumentsOptions = options ?? {};
  checkBatchSize(batchSize, where);
  checkSignal(signal, where);
  return { ids, batchSize, durability, signal, onProgress };
}

function isIdList(
  given: AddDocumentsOptions | readonly (string | undefined)[] | undefined,
): given is readonly (string | undefined)[] {
  return Array.isArray(given);
}

function checkBatchSize(given: number | undefined, where: string): void {
  if (given === undefined || (Number.isSafeInteger(given) && given >= 1)) return;
  throw invalidOption(where, "batchSize", "a whole number from 1", given);
}

/** Checks the options of a search, but for those the lake checks. */
export function checkSearchOptions<Meta extends object>(
  options: SearchDocumentsOptions<Meta>,
  where: string,
): void {
  checkOptions(options, SEARCH_OPTIONS, where);
  checkMmr(options.mmr, where);
  checkK(options.k, where);
  checkScore(options.minScore, where);
  checkSignal(options.signal, where);
}

/** LangChain's options of a search for varied documents, as those of a search. */
export function readMmrOptions<Meta extends object>(
  options: MaxMarginalRelevanceSearchOptions<DocumentFilter<Meta>>,
): SearchDocumentsOptions<Meta> {
  const where = "RuLakeVectorStore.maxMarginalRelevanceSearch";
  checkOptions(options, ["k", "fetchK", "lambda", "filter"], where);
  const { fetchK, lambda, ...rest } = options;
  return { ...rest, mmr: { fetchK, lambda } };
}

function checkK(k: unknown, where: string): void {
  if (k === undefined || (Number.isSafeInteger(k) && (k as number) >= 1)) return;
  throw new LakeError(`${where}: k must be a whole number from 1`, { code: "INVALID_K", context: { k } });
}

/**
 * The one thing a delete selects.
 *
 * @throws ConfigError `UNKNOWN_OPTION`; `INVALID_SELECTION` unless it is exactly one
 */
export function readSelection<Meta extends object>(
  selection: DeleteDocuments<Meta> | undefined,
  where: string,
): { ids: readonly string[] } | { filter: DocumentFilter<Meta> } | "all" {
  checkOptions(selection, DELETE_OPTIONS, where);
  const given = (selection ?? {}) as {
    ids?: readonly string[];
    filter?: DocumentFilter<Meta>;
    all?: boolean;
    deleteAll?: boolean;
  };
  const { ids, filter } = given;
  const all = given.all === true || given.deleteAll === true;
  const forms = [ids !== undefined, filter !== undefined, all].filter(Boolean).length;
  if (forms !== 1) {
    throw new ConfigError(`${where}: ${forms === 0 ? "nothing" : "more than one thing"} to delete is named`, {
      code: "INVALID_SELECTION",
      hint: "give one of { ids: [...] }, { filter: {...} } and { all: true }",
    });
  }
  if (ids !== undefined) {
    if (Array.isArray(ids)) return { ids };
    throw invalidOption(where, "ids", "an array of strings", ids);
  }
  return filter === undefined ? "all" : { filter };
}

/**
 * Refuses fields a retriever does not have: a misspelt `filter` would return documents the caller meant to exclude.
 *
 * @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION`, `UNSUPPORTED_SEARCH_TYPE`; LakeError `INVALID_K`
 */
export function checkRetrieverFields(fields: object, where: string): void {
  checkOptions(fields, RETRIEVER_FIELDS, where);
  const { k, searchType, searchKwargs, minScore } = fields as {
    k?: unknown;
    searchType?: unknown;
    searchKwargs?: unknown;
    minScore?: number;
  };
  checkK(k, where);
  checkScore(minScore, where);
  checkOptions(searchKwargs, ["fetchK", "lambda"], `${where}, searchKwargs`);
  if (searchType === undefined || searchType === "similarity" || searchType === "mmr") return;
  throw new ConfigError(`${where}: unknown searchType '${String(searchType)}'`, {
    code: "UNSUPPORTED_SEARCH_TYPE",
    context: { searchType, supported: ["similarity", "mmr"] },
    hint: "use 'similarity' or 'mmr'; for a lowest score add minScore to either",
  });
}
