import { existsSync } from "node:fs";
import path from "node:path";
import { LakeError } from "../errors.js";
import type { Collection } from "../lake/collection.js";
import { RuLake } from "../lake/lake.js";
import type { CollectionIndexKind } from "../lake/records.js";
import { isAbsentOrEmpty, splitPath } from "./location.js";

/**
 * Copies a collection into the lake at a directory, under the same name and with everything: ids, vectors, texts,
 * metadata and their order. A collection of that name which is there already is replaced once the copy is complete and
 * durable. The lake the collection lives in is left alone: what it acknowledged is durable.
 *
 * @throws {@link LakeError} `NOT_A_LAKE` when the directory holds something else
 */
export async function copyCollection<Meta extends object>(
  source: Collection<Meta>,
  sourceLake: string | undefined,
  directory: string,
  index: CollectionIndexKind | undefined,
): Promise<void> {
  if (sourceLake !== undefined && path.resolve(sourceLake) === path.resolve(directory)) return;
  const lake = await RuLake.open(directory);
  try {
    const { dimensions, metric, metadataIndex } = source;
    const options = { dimensions, metric, index, metadataIndex };
    await lake.replace<void, Meta>(source.name, options, async (target) => {
      await target.upsert(source.scan({ include: ["vector", "text", "metadata"] }), {
        durability: "buffered",
      });
    });
  } finally {
    await lake.close();
  }
}

/**
 * The path of the collection that {@link copyCollection} made at a directory: the only one of the lake there. A path
 * `<lake>/<collection>` stands for itself.
 *
 * @throws {@link LakeError} `COLLECTION_NOT_FOUND` when there is nothing, or more than one collection to choose from
 */
export async function findCopy(directory: string): Promise<string> {
  if (!isAbsentOrEmpty(directory)) {
    const names = await listLake(directory);
    if (names !== undefined && names.length === 1) return path.join(directory, String(names[0]));
    if (names !== undefined) throw ambiguous(directory, names);
  }
  const { lakePath, name } = splitPath(directory);
  if (!isAbsentOrEmpty(lakePath) && (await listLake(lakePath))?.includes(name)) return directory;
  throw ambiguous(directory, []);
}

/** Names of the collections; `undefined` if there is no lake. */
async function listLake(directory: string): Promise<string[] | undefined> {
  if (!existsSync(directory)) return undefined;
  let lake: RuLake;
  try {
    lake = await RuLake.open(directory, { readOnly: true });
  } catch (error) {
    if (LakeError.isInstance(error) && ["NOT_A_LAKE", "FILE_NOT_FOUND"].includes(error.code))
      return undefined;
    throw error;
  }
  try {
    return await lake.list();
  } finally {
    await lake.close();
  }
}

function ambiguous(directory: string, names: readonly string[]): LakeError {
  const what =
    names.length === 0
      ? `there is no saved collection at '${directory}'`
      : `'${directory}' holds ${names.length} collections`;
  return new LakeError(`RuLakeVectorStore.load: ${what}`, {
    code: "COLLECTION_NOT_FOUND",
    context: { directory, collections: [...names] },
    hint:
      names.length === 0
        ? "load takes the directory that was given to save, or '<lake>/<collection>'"
        : `open one of them, for example '${path.join(directory, String(names[0]))}'`,
  });
}
