import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Collection, RuLake, RuLakeError } from "rulake";
import { afterAll, onTestFinished } from "vitest";

/** A directory for this test file, gone when its tests are done. Returns a path in it that nothing else uses. */
export function scratchDirectory(): () => string {
  const root = mkdtempSync(path.join(tmpdir(), "rulake-lake-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let next = 0;
  return () => path.join(root, `lake-${next++}`);
}

/** A collection in memory, closed when the test is done. */
export async function memoryCollection<Meta extends object = Record<string, unknown>>(): Promise<
  Collection<Meta>
> {
  const lake = await RuLake.open({ memory: true });
  onTestFinished(() => lake.close());
  return lake.collection<Meta>("docs");
}

/** What a call fails with. */
export async function failure(work: Promise<unknown>): Promise<RuLakeError> {
  try {
    await work;
  } catch (error) {
    if (RuLakeError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Numbers between -1 and 1 that are the same in every run. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed >>> 0;
  return new Float32Array(count).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Ids of records or hits. */
export const ids = (records: readonly { id: string }[]): string[] => records.map((record) => record.id);
