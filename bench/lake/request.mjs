/**
 * What a process of the comparison is asked to do, as JSON.
 *
 * @typedef {object} Request
 * @property {"write" | "syncs" | "read"} step
 * @property {string} store module in `bench/lake/stores`, without its ending
 * @property {string} dataset folder of the data set
 * @property {string} texts file of its texts, one a line
 * @property {number} dimensions
 * @property {number} rows records in the store in the end
 * @property {number} singles records of them that are written one a call
 * @property {number} queries
 * @property {string} place file or directory of the store
 * @property {string} result file the result is written to
 */

/** @typedef {import("../measure/clock.mjs").Spent} Spent */

/** @typedef {{ id: string; vector: Float32Array; text: string; bucket: number; group: number }} Row */

/** @typedef {{ field: "bucket" | "group"; value: number }} Condition */

/**
 * A database in a process of its own.
 *
 * @typedef {object} Store
 * @property {(place: string, dimensions: number) => unknown} open creates it if it is missing
 * @property {(rows: Row[]) => unknown} upsert one call; acknowledged when it returns or its promise resolves
 * @property {boolean} [concurrent] whether several upserts can be under way
 * @property {() => unknown} settle what users do after loading many rows: make indexes, compact
 * @property {(query: Float32Array, k: number, condition?: Condition) => any} search with text and fields of the k
 * @property {(answer: any) => string[]} ids of an answer
 * @property {(ids: string[]) => unknown} remove
 * @property {() => unknown} close
 */

/**
 * @typedef {object} WriteResult
 * @property {Spent & { records: number }} singles one record a call, the next when it is acknowledged
 * @property {Spent & { records: number }} [concurrent] one record a call, 64 under way
 * @property {Spent & { records: number }} batches 1,000 records a call
 * @property {Spent} settle
 * @property {number} diskBytes
 * @property {number} peakBytes
 * @property {number} loopDelayMs
 */

/**
 * @typedef {Spent & { queries: number; recall: number; p50: number; p99: number }} Searched times of a query in seconds
 */

/**
 * @typedef {object} ReadResult
 * @property {Spent} open
 * @property {Spent} firstQuery
 * @property {Searched} search
 * @property {Searched} one a condition that one record of a hundred satisfies
 * @property {Searched} ten one of ten
 * @property {Spent & { records: number }} remove a tenth of the records, 1,000 a call
 * @property {Searched} searchAfter
 * @property {Spent} settleAfter
 * @property {number} diskBytes after that
 */

/** @typedef {{ upserts: number; syncs: number }} SyncsResult */

export {};
