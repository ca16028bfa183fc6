import type { FoundPiece, FoundRecords } from "../../native/binding.js";
import { type Metric, toScore } from "../indexes/metric.js";
import { invalidOption, oneOf } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { lakeCallNow } from "./native-call.js";
import type { CollectionHit, RecordPart, StoredRecord } from "./records.js";

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

/** Whether making objects of JSON takes more than some twenty microseconds: many answers may come in one turn. */
export function isLarge(json: string): boolean {
  return json.length > 1 << 13;
}

/** Makes records of what was found, in pieces that do not hold up the event loop. */
export async function readRecords<Meta extends object>(
  found: string | FoundRecords,
  where: string,
): Promise<StoredRecord<Meta>[]> {
  if (typeof found === "string") {
    if (isLarge(found) && isTurnOver()) await nextTurn();
    return JSON.parse(found);
  }
  const records: StoredRecord<Meta>[] = [];
  for (;;) {
    if (isTurnOver()) await nextTurn();
    const piece = lakeCallNow(where, () => found.read());
    if (piece === null) return records;
    for (const record of toRecords<Meta>(piece)) records.push(record);
  }
}

/** Likewise for the answers of searches. */
export async function readHits<Meta extends object>(
  found: FoundRecords,
  where: string,
): Promise<CollectionHit<Meta>[][]> {
  const counts = lakeCallNow(where, () => found.counts);
  // Answers have scores.
  const hits = (await readRecords<Meta>(found, where)) as CollectionHit<Meta>[];
  let start = 0;
  return counts.map((count) => {
    start += count;
    return hits.slice(start - count, start);
  });
}

/**
 * A small answer of one search. `numbers` are the distances and, if ids are short, where each ends in `ids`; `json` is
 * empty or an array of three columns: long ids, texts and metadata, 0 for none.
 */
export type Answer = [numbers: Float64Array, ids: string, json: string];

type Columns<Meta> = [ids?: string[] | 0, texts?: (string | null)[] | 0, metadata?: (Meta | null)[] | 0];

/** Makes hits of an answer. */
export function toHits<Meta extends object>(
  [numbers, ids, json]: Answer,
  metric: Metric,
): CollectionHit<Meta>[] {
  const [long, texts, metadata]: Columns<Meta> = json === "" ? [] : JSON.parse(json);
  const count = long ? numbers.length : numbers.length / 2;
  const hits = new Array<CollectionHit<Meta>>(count);
  let start = 0;
  for (let i = 0; i < count; i++) {
    let id = "";
    if (long) id = long[i] as string;
    else {
      const end = numbers[count + i] as number;
      id = ids.slice(start, end);
      start = end;
    }
    const text = texts ? texts[i] : undefined;
    const own = metadata ? metadata[i] : undefined;
    const distance = numbers[i] as number;
    const score = toScore(distance, metric);
    // One literal for each shape, so that all hits of a shape share their layout.
    if (typeof text !== "string")
      hits[i] = own ? { id, metadata: own, score, distance } : { id, score, distance };
    else hits[i] = own ? { id, text, metadata: own, score, distance } : { id, text, score, distance };
  }
  return hits;
}

function toRecords<Meta extends object>(piece: FoundPiece): StoredRecord<Meta>[] {
  const records: StoredRecord<Meta>[] = JSON.parse(piece.json);
  let start = 0;
  for (const [i, length] of piece.lengths.entries()) {
    const record = records[i];
    if (length === 0 || record === undefined) continue;
    // A copy: a view would keep the vectors of the whole piece.
    record.vector = piece.vectors.slice(start, start + length);
    start += length;
  }
  for (const [i, text] of piece.texts.entries()) {
    const record = records[piece.large[i] ?? -1];
    if (record !== undefined) record.text = text;
  }
  return records;
}
