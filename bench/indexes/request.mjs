/**
 * What a process of the benchmark is asked to do, as JSON; the Rust peer reads the same.
 *
 * @typedef {object} Request
 * @property {"build" | "search"} step
 * @property {string} peer module in `bench/peers`, without its ending
 * @property {Settings} settings how the index is built
 * @property {Settings[]} points how it is searched, one a point of the curve
 * @property {string} base file of the base vectors
 * @property {string} queries file of the query vectors
 * @property {string} truth file of the true neighbours
 * @property {number} truthDepth neighbours of a query in it
 * @property {number} dimensions
 * @property {number} k
 * @property {string} index file the index is saved to
 * @property {string} result file the result is written to
 * @property {number} rounds timed rounds over the queries at most
 * @property {number} seconds no round begins after so many; one always runs
 * @property {number} queryCount queries to use
 */

/** @typedef {Record<string, string | number | boolean>} Settings */

/** @typedef {import("./clock.mjs").Spent} Spent */

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
 * @property {AsyncResult} [concurrent]
 */

/**
 * One index in a process of its own.
 *
 * @typedef {object} Peer
 * @property {(base: Float32Array, dimensions: number, settings: Settings, point: Settings) => unknown} build
 * @property {(file: string) => unknown} save
 * @property {(file: string, dimensions: number, settings: Settings, point: Settings) => unknown} load
 * @property {(point: Settings, file: string) => void} use settings of the searches that follow
 * @property {(query: Float32Array) => any} [prepare] what `search` takes, made outside the measured time
 * @property {(query: any, k: number) => any} search what a user's code would call, with what it would get
 * @property {(answer: any) => ArrayLike<number>} rows row numbers in what `search` returned
 * @property {(queries: Float32Array, k: number) => unknown} [searchBatch] all rows of a matrix, on all threads
 * @property {(query: Float32Array, k: number) => Promise<unknown>} [searchAsync] off the event loop
 * @property {() => number} [memoryBytes]
 */

export {};
