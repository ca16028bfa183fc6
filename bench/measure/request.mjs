/**
 * What a process of the benchmark is asked to do, as JSON; the peers in Rust and Python read the same.
 *
 * @typedef {object} Request
 * @property {"build" | "search" | "filtered" | "churn" | "overhead"} step
 * @property {string} peer module in `bench/peers`, without its ending
 * @property {Settings} settings how the index is built
 * @property {Settings[]} points how it is searched, one a point of the curve
 * @property {string} base file of the base vectors
 * @property {string} queries file of the query vectors
 * @property {string} truth file of the true neighbours
 * @property {number} truthDepth neighbours of a query in it
 * @property {number} dimensions
 * @property {number} k
 * @property {string} index file or folder the index is saved to
 * @property {string} result file the result is written to
 * @property {number} rounds timed rounds over the queries at most
 * @property {number} seconds no round begins after so many; one always runs
 * @property {number} queryCount queries to use
 * @property {Promised[]} [promises] search: recalls asked for, to be compared with those reached
 * @property {number} [rowCount] filtered: rows of the base
 * @property {FilterFiles[]} [filters] build: columns to keep beside the vectors; filtered: searches to do
 * @property {ChurnPlan} [churn] churn: what is replaced
 */

/** @typedef {Record<string, string | number | boolean>} Settings */

/** @typedef {import("./clock.mjs").Spent} Spent */

/** @typedef {{ recallTarget: number; k: number }} Promised */

/**
 * @typedef {object} FilterFiles
 * @property {string} id
 * @property {string} rows file of the numbers of the rows that match, ascending, as `i32`
 * @property {string} truth file of the true neighbours among them
 */

/**
 * Rows of the base are first indexed, then replaced in rounds by the rows that follow.
 *
 * @typedef {object} ChurnPlan
 * @property {number} size rows the index has before and after each round
 * @property {number} rounds
 * @property {number} replaced rows a round
 * @property {string} order file of row numbers (`i32`): the first `size` are there at first, the first of them go first
 * @property {string} truthBefore file of the true neighbours among the rows at first
 * @property {string} truthAfter the same of the rows at the end
 */

/**
 * @typedef {object} BuildResult
 * @property {Spent} build from vectors in memory to an index that answers
 * @property {Spent} save
 * @property {number} diskBytes
 * @property {number} peakBytes of the whole process, the input included
 * @property {number} [memoryBytes] what the index itself says it holds
 * @property {number} [loopDelayMs] longest hold-up of the event loop while building
 */

/**
 * @typedef {Spent & { p50: number; p99: number }} Round one pass over the queries; percentiles in seconds
 */

/**
 * @typedef {object} PointResult
 * @property {number} recall
 * @property {Round[]} rounds single queries, one after the other
 * @property {Spent[]} [batches] all queries in one call
 */

/**
 * @typedef {object} AsyncResult
 * @property {Round} round all queries, some of them in flight at a time
 * @property {number} inFlight
 * @property {number} loopDelayMs longest hold-up of the event loop meanwhile
 * @property {number} idleLoopDelayMs the same for an idle process just before
 */

/**
 * @typedef {object} SearchResult
 * @property {Spent} load from a saved file (in the system's cache) to an index that answers
 * @property {Spent} firstQuery
 * @property {number} residentBytes growth of the process by loading and searching with the first point
 * @property {number} privateBytes the part of it that no file backs
 * @property {number} peakBytes of the whole process until then
 * @property {PointResult[]} points
 * @property {(Promised & PointResult)[]} [promises]
 * @property {AsyncResult} [concurrent]
 */

/** @typedef {{ filters: { id: string; points: PointResult[] }[] }} FilteredResult */

/**
 * @typedef {object} ChurnResult
 * @property {PointResult[]} before the rows at first
 * @property {PointResult[]} after all rounds
 * @property {PointResult[] | undefined} settled when upkeep has caught up
 * @property {PointResult[]} reopened after saving (compaction, where the peer has it) and loading
 * @property {PointResult[]} fresh an index built of the rows that are there at the end
 * @property {Spent} adding of all rounds
 * @property {Spent} deleting of all rounds
 * @property {number | undefined} settlingSeconds until upkeep has caught up
 * @property {Spent} saving
 * @property {number} diskBytes
 * @property {number} freshDiskBytes
 * @property {number} loopDelayMs longest hold-up of the event loop in the rounds
 */

/** @typedef {{ id: string; what: string; rounds: Round[] }[]} OverheadResult a way to search each */

/**
 * One index in a process of its own. What a peer lacks, it is not asked for.
 *
 * @typedef {object} Peer
 * @property {(base: Float32Array, dimensions: number, settings: Settings, point: Settings, index: string, filters?: Uint8Array[]) => unknown} build
 *   row numbers are the ids; `filters`: for each a byte a row, 1 where it matches
 * @property {(rows: Int32Array, vectors: Float32Array, dimensions: number, settings: Settings, point: Settings, index: string) => unknown} [buildRows]
 *   the same with ids of their own
 * @property {(file: string) => unknown} save with all that makes later searches fast, such as compaction
 * @property {(file: string, dimensions: number, settings: Settings, point: Settings) => unknown} load
 * @property {(point: Settings, file: string) => void} use settings of the searches that follow
 * @property {(query: Float32Array) => any} [prepare] what `search` takes, made outside the measured time
 * @property {(query: any, k: number) => any} search what a user's code would call, with what it would get, or its promise
 * @property {(answer: any) => ArrayLike<number>} rows row numbers in what `search` returned
 * @property {(queries: Float32Array, k: number) => unknown} [searchBatch] all rows of a matrix, on all threads
 * @property {(query: Float32Array, k: number) => Promise<unknown>} [searchAsync] off the event loop
 * @property {(rows: Int32Array, at: number, matches: Uint8Array) => void} [filter] only these rows are found from now on
 * @property {(rows: Int32Array, vectors: Float32Array) => unknown} [add] ids are row numbers
 * @property {(rows: Int32Array) => unknown} [remove]
 * @property {(k: number) => { id: string; what: string; call(query: Float32Array): unknown }[]} [ways] to call a search
 * @property {() => Promise<number>} [settle] waits for upkeep in the background and says for how many seconds it went on
 * @property {() => unknown} [close] before the process ends or another index is built
 * @property {() => number} [memoryBytes]
 */

export {};
