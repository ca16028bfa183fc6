import type { UpsertBatch, WriteResult } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { warnOfLateFailure } from "../late-failure.js";
import { checkSignal, describe, invalidOption } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { Abortable } from "./abortable.js";
import { invalidArgument } from "./native-call.js";
import { RecordWriter } from "./record-writer.js";
import type { RecordInput, UpsertOptions, UpsertResult } from "./records.js";

/** With so many records or bytes an atomic batch of an iterable is full. An array is one batch however large. */
const BATCH = { records: 10_000, bytes: 32 << 20 };

type Source<Meta extends object> = Iterable<RecordInput<Meta>> | AsyncIterable<RecordInput<Meta>>;

/** Reads records, and commits them batch by batch. */
export async function upsertRecords<Meta extends object>(
  where: string,
  records: Source<Meta>,
  { signal, onProgress }: UpsertOptions,
  commit: (batch: UpsertBatch) => Promise<WriteResult>,
): Promise<UpsertResult> {
  checkSignal(signal, where);
  signal?.throwIfAborted();
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw invalidOption(where, "onProgress", "a function", onProgress);
  }
  const source = check(records, where);
  const atomic = Array.isArray(records);
  const total = atomic ? records.length : undefined;
  const writer = new RecordWriter(where);
  const ids: string[] = [];
  let done = 0;
  let snapshot: string | undefined;
  try {
    if (isTurnOver()) await nextTurn();
    // Two loops: `for await` over a plain iterable would go through the microtask queue for each record.
    if (Symbol.asyncIterator in source) {
      const items = signal === undefined ? source : new Abortable(source, signal);
      for await (const record of items) if (add(record)) await turn();
    } else {
      for (const record of source) if (add(record)) await turn();
    }
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

function check<Meta extends object>(records: Source<Meta>, where: string): Source<Meta> {
  const isObject = typeof records === "object" && records !== null;
  if (isObject && (Symbol.iterator in records || Symbol.asyncIterator in records)) return records;
  const expected = "an array, an iterable or an async iterable of records";
  throw invalidArgument(where, "records", expected, describe(records));
}
