import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { LakeError } from "../errors.js";
import type { Collection } from "../lake/collection.js";
import { RuLake } from "../lake/lake.js";
import { invalidOption, suggestion } from "../options.js";
import type { StoreOptions } from "./store-options.js";

/**
 * Where the records of a store are:
 *
 * - `"./lake/docs"`: collection `docs` of the lake in the directory `./lake`
 * - `{ memory: true }`: the memory of this process; gone when the store closes
 * - a {@link Collection}: one that is open already. It stays the caller's to close.
 */
export type StoreLocation<Meta extends object = Record<string, unknown>> =
  | string
  | { readonly memory: true }
  | Collection<Meta>;

/** A collection and the duty to close it. */
export interface OpenedCollection<Meta extends object> {
  collection: Collection<Meta>;
  /** Directory of the lake; `undefined` in memory or when the caller opened it. */
  lakePath: string | undefined;
  /** Does nothing for a collection that was passed in. */
  close: () => Promise<void>;
}

const MEMORY_COLLECTION = "documents";

/** What {@link openCollection} does about a collection that does not exist. */
export type IfMissing = "create" | "throw";

/**
 * Opens the collection at a location.
 *
 * @param where - the call as the user wrote it, for messages
 * @throws {@link ConfigError} `INVALID_OPTION`; {@link LakeError} `NOT_A_LAKE`, `COLLECTION_NOT_FOUND`, `COLLECTION_MISMATCH`,
 * and whatever else `RuLake.open` and `lake.collection` throw
 */
export async function openCollection<Meta extends object>(
  location: StoreLocation<Meta>,
  options: StoreOptions,
  ifMissing: IfMissing,
  where: string,
): Promise<OpenedCollection<Meta>> {
  if (isCollection<Meta>(location)) {
    return { collection: location, lakePath: undefined, close: async () => {} };
  }
  if (typeof location === "object" && location?.memory === true) {
    const lake = await RuLake.open({ memory: true }, { readOnly: options.readOnly });
    return openIn(lake, MEMORY_COLLECTION, options);
  }
  if (typeof location !== "string" || location === "") {
    throw invalidOption(where, "path", "'<lake>/<collection>', { memory: true } or a Collection", location);
  }
  const { lakePath, name } = splitPath(location);
  if (ifMissing === "throw" && isAbsentOrEmpty(lakePath)) throw notFound(location, name, [], where);
  const lake = await openLake(lakePath, location, options.readOnly);
  if (ifMissing === "throw") {
    const names = await closingOnFailure(lake, () => lake.list());
    if (!names.includes(name)) {
      await lake.close();
      throw notFound(location, name, names, where);
    }
  }
  return openIn(lake, name, options);
}

/** Whether a value is an open {@link Collection}, made by any copy of this package. */
function isCollection<Meta extends object>(value: unknown): value is Collection<Meta> {
  if (typeof value !== "object" || value === null) return false;
  const { upsert, search, scan } = value as Partial<Collection>;
  return typeof upsert === "function" && typeof search === "function" && typeof scan === "function";
}

/** `"./lake/docs"` as its lake and its collection. Trailing separators do not count. */
export function splitPath(location: string): { lakePath: string; name: string } {
  const normal = path.normalize(location).replace(/[/\\]+$/, "");
  return { lakePath: path.dirname(normal), name: path.basename(normal) };
}

/** Whether there is nothing at a path, or an empty directory. */
export function isAbsentOrEmpty(directory: string): boolean {
  if (!existsSync(directory)) return true;
  try {
    return readdirSync(directory).length === 0;
  } catch {
    // Not a directory, or not readable: opening it tells why.
    return false;
  }
}

async function openLake(lakePath: string, location: string, readOnly: boolean | undefined): Promise<RuLake> {
  try {
    return await RuLake.open(lakePath, { readOnly });
  } catch (error) {
    if (!LakeError.isInstance(error) || error.code !== "NOT_A_LAKE") throw error;
    throw new LakeError(error.message, {
      code: error.code,
      category: error.category,
      context: { ...error.context, path: location },
      hint:
        `a store's path is '<lake>/<collection>', so '${location}' asks for a lake in '${lakePath}'; ` +
        `for a new lake in a directory of its own write '${path.join(location, "docs")}'`,
      cause: error,
    });
  }
}

async function openIn<Meta extends object>(
  lake: RuLake,
  name: string,
  { dimensions, metric, index, metadataIndex }: StoreOptions,
): Promise<OpenedCollection<Meta>> {
  const collection = await closingOnFailure(lake, () =>
    lake.collection<Meta>(name, { dimensions, metric, index, metadataIndex }),
  );
  return { collection, lakePath: lake.path, close: () => lake.close() };
}

async function closingOnFailure<T>(lake: RuLake, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await lake.close();
    throw error;
  }
}

function notFound(location: string, name: string, names: readonly string[], where: string): LakeError {
  return new LakeError(`${where}: there is no collection at '${location}'${suggestion(name, names)}`, {
    code: "COLLECTION_NOT_FOUND",
    context: { path: location, collection: name, collections: [...names] },
    hint: "RuLakeVectorStore.open creates what does not exist",
  });
}

/**
 * Refuses vectors of a model other than the one a collection was filled with.
 *
 * @throws {@link LakeError} `DIMENSION_MISMATCH`
 */
export function checkDimensions(
  collection: { readonly name: string; readonly dimensions: number | undefined },
  given: number | undefined,
): void {
  const expected = collection.dimensions;
  if (expected === undefined || given === undefined || given === expected) return;
  throw new LakeError(
    `collection '${collection.name}' holds vectors of ${expected} numbers, but the embedding model makes ${given}`,
    {
      code: "DIMENSION_MISMATCH",
      context: { collection: collection.name, expected, given },
      hint: "use the model the collection was filled with, or another collection for another model",
    },
  );
}
