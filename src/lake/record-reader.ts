import type { FoundRecords, RecordColumns } from "../../native/binding.js";
import { invalidOption, oneOf } from "../options.js";
import { nextTurn } from "../turns.js";
import type { CollectionHit, RecordPart, StoredRecord } from "./records.js";

/** Bytes made into JavaScript values in one turn of the event loop. */
const TURN_BYTES = 1 << 17;

/** Bytes fetched ahead by a scan. */
export const SCAN_BYTES = 1 << 20;

/** Parts of a record to return, as the native side takes them. */
export interface Include {
  vector: boolean;
  text: boolean;
  metadata: boolean;
}

const recordParts: readonly RecordPart[] = ["vector", "text", "metadata"];

/** @throws {@link ConfigError} `INVALID_OPTION` */
export function toInclude(include: readonly RecordPart[] | undefined, where: string): Include {
  if (include === undefined) return { vector: false, text: true, metadata: true };
  if (!Array.isArray(include)) throw invalidOption(where, "include", "an array", include);
  for (const [i, part] of include.entries()) {
    if (part === undefined) throw invalidOption(where, `include[${i}]`, "a part of a record", part);
    oneOf(part, recordParts, `include[${i}]`, where);
  }
  return {
    vector: include.includes("vector"),
    text: include.includes("text"),
    metadata: include.includes("metadata"),
  };
}

/** Makes records of what was found, in pieces that do not hold up the event loop. */
export async function readRecords<Meta extends object>(found: FoundRecords): Promise<StoredRecord<Meta>[]> {
  const records: StoredRecord<Meta>[] = [];
  for await (const columns of pieces(found)) {
    forEachRow<Meta>(columns, (record) => records.push(record));
  }
  return records;
}

/** Likewise for the answers of searches. */
export async function readHits<Meta extends object>(found: FoundRecords): Promise<CollectionHit<Meta>[][]> {
  const hits: CollectionHit<Meta>[] = [];
  for await (const columns of pieces(found)) {
    forEachRow<Meta>(columns, (record, i) => {
      const score = columns.scores[2 * i] ?? 0;
      const distance = columns.scores[2 * i + 1] ?? 0;
      hits.push({ ...record, score, distance });
    });
  }
  let start = 0;
  return found.counts.map((count) => {
    start += count;
    return hits.slice(start - count, start);
  });
}

async function* pieces(found: FoundRecords): AsyncGenerator<RecordColumns> {
  while (found.length > 0) {
    yield found.read(TURN_BYTES);
    if (found.length > 0) await nextTurn();
  }
}

function forEachRow<Meta extends object>(
  columns: RecordColumns,
  visit: (record: StoredRecord<Meta>, i: number) => void,
): void {
  let start = 0;
  columns.ids.forEach((id, i) => {
    const record: StoredRecord<Meta> = { id };
    const length = columns.lengths[i] ?? 0;
    if (length > 0) {
      // A copy: a view would keep the vectors of the whole piece.
      record.vector = columns.vectors.slice(start, start + length);
      start += length;
    }
    const text = columns.texts[i];
    if (typeof text === "string") record.text = text;
    const metadata = columns.metadata[i];
    if (typeof metadata === "string") record.metadata = JSON.parse(metadata) as Meta;
    visit(record, i);
  });
}
