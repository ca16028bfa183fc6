import { LakeError } from "../errors.js";
import type { Collection } from "../lake/collection.js";
import type { Durability, RecordInput } from "../lake/records.js";
import { warnOfLateFailure } from "../late-failure.js";

/** How far an add is. */
export interface AddProgress {
  phase: "add";
  /** Documents stored so far. */
  done: number;
  /** Documents in all. */
  total: number;
}

/** How {@link upsertInBatches} goes about it. */
export interface BatchOptions {
  /** The call as the user wrote it. */
  where: string;
  /** Records made and committed at a time. */
  batchSize: number;
  durability: Durability | undefined;
  signal: AbortSignal | undefined;
  onProgress: ((progress: AddProgress) => void) | undefined;
}

/**
 * Stores records batch by batch, making each batch while the one before is written: memory stays bounded by two batches.
 * Each batch is atomic. If one fails, those before it remain (`error.context.committed` says how many records, where the
 * error is ours).
 *
 * @param total - number of records
 * @param make - makes the records from `start` to `end`
 */
export async function upsertInBatches<Meta extends object>(
  collection: Collection<Meta>,
  total: number,
  make: (start: number, end: number) => Promise<RecordInput<Meta>[]>,
  { where, batchSize, durability, signal, onProgress }: BatchOptions,
): Promise<void> {
  signal?.throwIfAborted();
  // With nothing to store this still finds a store closed.
  let writing: Promise<unknown> = total === 0 ? collection.upsert([]) : Promise.resolve();
  let done = 0;
  try {
    for (let start = 0; start < total; start += batchSize) {
      const end = Math.min(start + batchSize, total);
      const records = await make(start, end);
      await writing;
      signal?.throwIfAborted();
      writing = collection.upsert(records, { durability, signal }).then(() => {
        done = end;
        try {
          onProgress?.({ phase: "add", done, total });
        } catch (error) {
          if (done < total) throw error;
          warnOfLateFailure(where, error);
        }
      });
      // It may fail while the next batch is made, before anybody awaits it.
      writing.catch(() => {});
    }
    await writing;
  } catch (error) {
    await writing.catch(() => {});
    // The collection knows of its last batch only.
    if (LakeError.isInstance(error)) error.context.committed = done;
    throw error;
  }
}
