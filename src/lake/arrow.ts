import { createRequire } from "node:module";
import { join } from "node:path";
import { LakeError } from "../errors.js";

/** What any version of `apache-arrow` calls a `RecordBatch`, as far as it matters here. */
export interface ArrowBatch {
  readonly numRows: number;
  readonly numCols: number;
}

interface Arrow {
  RecordBatchReader: { from(bytes: Uint8Array): { next(): { value?: ArrowBatch | null } } };
}

let arrow: Promise<Arrow> | undefined;

/** The record batch of an Arrow IPC stream. */
export async function readBatch(bytes: Uint8Array, where: string): Promise<ArrowBatch> {
  arrow ??= load(where);
  // A package that is installed after the first attempt is found by the next.
  arrow.catch(() => {
    arrow = undefined;
  });
  const { value } = (await arrow).RecordBatchReader.from(bytes).next();
  if (value) return value;
  throw new LakeError(`${where}: an Arrow stream without a record batch`, { code: "INTERNAL" });
}

async function load(where: string): Promise<Arrow> {
  try {
    return unwrap((await import("apache-arrow")) as unknown as Arrow & { default?: Arrow });
  } catch (error) {
    // Linked or global installs: the package may be with the project rather than with this one.
    try {
      return createRequire(join(process.cwd(), "package.json"))("apache-arrow") as Arrow;
    } catch {
      throw new LakeError(`${where}: apache-arrow is not installed, and record batches are its`, {
        code: "ARROW_NOT_FOUND",
        context: { package: "apache-arrow" },
        hint: "npm i apache-arrow",
        cause: error,
      });
    }
  }
}

function unwrap(module: Arrow & { default?: Arrow }): Arrow {
  return module.RecordBatchReader === undefined && module.default !== undefined ? module.default : module;
}
