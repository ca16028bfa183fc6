import type { Collection } from "../lake/collection.js";
import type { Durability, RecordInput } from "../lake/records.js";

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
  /** Records made and committed at a time. */
  batchSize: number;
  durability: Durability | undefined;
  signal: AbortSignal | undefined;
  onProgress: ((progress: AddProgress) => void) | undefined;
}

/**
 * Stores records batch by batch, making each batch while the one before is written: memory stays bounded by two batches.
 * Each batch is atomic. If one fails, those before it remain.
 *
 * @param total - number of records
 * @param make - makes the records from `start` to `end`
 */
export async function upsertInBatches<Meta extends object>(
  collection: Collection<Meta>,
  total: number,
  make: (start: number, end: number) => Promise<RecordInput<Meta>[]>,
  { batchSize, durability, signal, onProgress }: BatchOptions,
): Promise<void> {
  signal?.throwIfAborted();
  let writing: Promise<void> = Promise.resolve();
  try {
    for (let start = 0; start < total; start += batchSize) {
      const end = Math.min(start + batchSize, total);
      const records = await make(start, end);
      await writing;
      signal?.throwIfAborted();
      writing = collection.upsert(records, { durability, signal }).then(() => {
        onProgress?.({ phase: "add", done: end, total });
      });
      // It may fail while the next batch is made, before anybody awaits it.
      writing.catch(() => {});
    }
  } catch (error) {
    await writing.catch(() => {});
    throw error;
  }
  await writing;
}
