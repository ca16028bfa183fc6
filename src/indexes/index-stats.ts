/** Sizes and counts of an index, in rows and bytes. */
export interface IndexStats {
  /** Live rows. */
  rows: number;
  /** Deleted rows that still take space until the next save. */
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
