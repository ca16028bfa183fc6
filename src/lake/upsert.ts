import type { UpsertBatch, WriteResult } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { warnOfLateFailure } from "../late-failure.js";
import { checkSignal, invalidOption } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { PIECE, RecordWriter } from "./record-writer.js";
import type { RecordInput, UpsertOptions, UpsertResult } from "./records.js";
import { checkSource, readSource, type Source } from "./source.js";

/** With so many records or bytes an atomic batch of an iterable is full. An array is one batch however large. */
const BATCH = { records: 10_000, bytes: 32 << 20 };

/** Reads records, and commits them batch by batch. */
export async function upsertRecords<Meta extends object>(
  where: string,
  records: Source<RecordInput<Meta>>,
  { signal, onProgress }: UpsertOptions,
  commit: (batch: UpsertBatch) => Promise<WriteResult>,
): Promise<UpsertResult> {
  checkSignal(signal, where);
  signal?.throwIfAborted();
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw invalidOption(where, "onProgress", "a function", onProgress);
  }
  checkSource(records, where);
  const atomic = Array.isArray(records);
  const total = atomic ? records.length : undefined;
  const writer = new RecordWriter(where);
  const ids: string[] = [];
  let done = 0;
  let snapshot: string | undefined;
  try {
    // Many records were hardly made without using up most of this turn.
    if (isTurnOver() || (total ?? 0) > PIECE.records) await nextTurn();
    await readSource(records, signal, where, (record) => (add(record) ? turn() : undefined));
    // The last batch may have been full; there is nothing left to stop then.
    if (snapshot === undefined || writer.records > 0) {
      snapshot = await commitBatch();
      try {
        tell();
      } catch (error) {
        warnOfLateFailure(where, error);
      }
    }
    return { ids, snapshot };
  } catch (error) {
    if (LakeError.isInstance(error)) error.context.committed = done;
    throw error;
  }

  /** Whether it is time for a turn of the event loop, or to commit. */
  function add(record: RecordInput<Meta>): boolean {
    ids.push(writer.add(record));
    return writer.isDue || isFull();
  }

  async function turn(): Promise<void> {
    await writer.flush();
    signal?.throwIfAborted();
    if (!isFull()) return;
    snapshot = await commitBatch();
    tell();
  }

  function isFull(): boolean {
    return !atomic && (writer.records >= BATCH.records || writer.bytes >= BATCH.bytes);
  }

  async function commitBatch(): Promise<string> {
    const count = writer.records;
    signal?.throwIfAborted();
    const written = await commit(writer.take());
    done += count;
    return written.snapshot;
  }

  function tell(): void {
    onProgress?.({ phase: "upsert", done, total });
  }
}
