// Where the passages are kept.
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { RuLake, RuLakeError } from "rulake";
import { RuLakeVectorStore } from "rulake/langchain";
import { checkout } from "./corpus.mjs";

/**
 * `<lake>/<collection>`: what the user said, else one lake inside the checkout's cache for each folder asked about.
 *
 * @param {{ store: string | undefined; root: string | undefined }} args
 */
export function storePath({ store, root }) {
  if (store !== undefined) return store;
  const id = root && `${path.basename(root)}-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`;
  return path.join(checkout, ".cache", "ask-the-docs", id ?? "checkout", "docs");
}

/**
 * Opens the store, and creates it when it is missing. While another run fills it, it can only be read.
 *
 * @param {import("./arguments.mjs").Arguments} args
 * @param {import("rulake/langchain").OnnxEmbeddings} embeddings
 * @returns {Promise<{ store: import("./ingest.mjs").Store; isReadOnly: boolean }>}
 */
export async function openStore(args, embeddings) {
  const location = storePath(args);
  try {
    if (args.reset) await forget(location, args.store === undefined);
    return { store: await RuLakeVectorStore.open(location, embeddings), isReadOnly: false };
  } catch (error) {
    if (args.reset || !RuLakeError.isInstance(error) || error.code !== "LAKE_LOCKED") throw error;
    return {
      store: await RuLakeVectorStore.open(location, embeddings, { readOnly: true }),
      isReadOnly: true,
    };
  }
}

/** A lake in the cache is ours, readable or not; a lake the user named may hold other collections. */
async function forget(/** @type {string} */ location, /** @type {boolean} */ isOurs) {
  const folder = path.dirname(location);
  if (isOurs) return rm(folder, { recursive: true, force: true });
  const lake = await RuLake.open(folder);
  await lake.drop(path.basename(location));
  await lake.close();
}
