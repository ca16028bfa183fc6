import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";

/** A directory for this test file, gone when its tests are done. Returns a path in it that nothing else uses. */
export function scratchDirectory(): () => string {
  const root = mkdtempSync(path.join(tmpdir(), "rulake-vectorstore-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let next = 0;
  return () => path.join(root, `lake-${next++}`);
}
