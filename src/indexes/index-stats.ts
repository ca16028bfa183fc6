/** Sizes and counts of an index, in rows and bytes. */
export interface IndexStats {
  /** Live rows. */
  rows: number;
  /** Deleted rows that still take space, until upkeep, `compact()` or saving. */
  deleted: number;
  /** Bytes of codes and factors. */
  codeBytes: number;
  /** Bytes of raw vectors. */
  rawBytes: number;
  /** Bytes mapped from a file rather than held in memory of their own. */
  mappedBytes: number;
  /** Bytes on the heap. */
  heapBytes: number;
  /** Immutable parts the rows are spread over. */
  parts: number;
  /** Inverted lists of the parts that have them. */
  lists: number;
  /** Live rows of a `RabitqIvfIndex` outside its lists; every search looks at all of them. */
  ungrouped: number;
  /** Rows of the longest list, deleted ones included, as a multiple of the mean; 0 without lists. */
  imbalance: number;
  /**
   * Mean error of the codes in lists as a multiple of what it was when all were made. It grows when rows come that are
   * far from every centroid; 1 is as built, 0 not known.
   */
  drift: number;
}

/** One line about an index, for people. */
export function formatIndex(kind: string, dimensions: number, metric: string, stats: IndexStats): string {
  const { rows, heapBytes, mappedBytes } = stats;
  const mapped = mappedBytes > 0 ? ` + ${formatBytes(mappedBytes)} mapped` : "";
  return `${kind}(n=${rows}, d=${dimensions}, ${metric}, ${formatBytes(heapBytes)}${mapped})`;
}

function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const exponent = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** exponent;
  return `${exponent === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[exponent]}`;
}
