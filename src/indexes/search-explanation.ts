import type { SearchReport } from "../../native/binding.js";
import type { IndexKind } from "./build-options.js";

/** What one search did, for people: print it. Counts are rows unless they say otherwise. */
export interface SearchExplanation {
  /** Class of the index. */
  kind: IndexKind;
  /** Hits asked for. */
  k: number;
  /** Hits found. */
  hits: number;
  /** Live rows of the index. */
  rows: number;
  /** Live rows that `filterIds` lets through; `undefined` without one. */
  allowedRows: number | undefined;
  /** Whether every one of those was compared by its raw vector: then the answer is exact. */
  exactScan: boolean;
  /** Inverted lists of the index, 0 without. */
  lists: number;
  /** Lists that were looked at. */
  listsProbed: number;
  /** Rows whose distance was estimated from their codes. */
  rowsScanned: number;
  /** Those of them that the error bounds of one bit a dimension ruled out. */
  rowsPruned: number;
  /** Rows whose raw vector was compared with the query. */
  rowsReranked: number;
  /** The recall aimed at; `undefined` where `nprobe` was given instead, or where estimates are the answer. */
  recallTarget: number | undefined;
  /**
   * The recall to be expected on average of queries like the rows; `undefined` where it was not learned: with `nprobe`,
   * with a cap by `rerankFactor`, and where estimates are the answer.
   */
  expectedRecall: number | undefined;
  /** Milliseconds each step took. */
  milliseconds: {
    /** Finding the rows of `filterIds`. */
    filter: number;
    /** Rotating the query and making its tables. */
    prepare: number;
    /** Ranking the lists. */
    route: number;
    /** Estimating distances from codes. */
    scan: number;
    /** Comparing raw vectors. */
    rerank: number;
    /** The whole search, without the way from and to JavaScript. */
    total: number;
  };
}

/** The explanation as a plain object, keys in the order people read them. */
export function toExplanation(k: number, report: SearchReport): SearchExplanation {
  const { kind, hits, rows, allowedRows, exactScan, lists, listsProbed, milliseconds } = report;
  const { filter, prepare, route, scan, rerank, total } = milliseconds;
  return {
    kind: kind as IndexKind,
    k,
    hits,
    rows,
    allowedRows,
    exactScan,
    lists,
    listsProbed,
    rowsScanned: report.rowsScanned,
    rowsPruned: report.rowsPruned,
    rowsReranked: report.rowsReranked,
    recallTarget: report.recallTarget,
    expectedRecall: report.expectedRecall,
    milliseconds: { filter, prepare, route, scan, rerank, total },
  };
}
