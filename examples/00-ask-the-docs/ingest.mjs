// Brings the stored passages up to date with the files. What is stored says itself which file it was cut from and how
// many passages that file has, so a run that was interrupted anywhere needs no journal: the next one adds what is missing.
import { fingerprint, passagesOf } from "./passages.mjs";

/** Passages embedded and committed together: about a second of work, which is what an interruption loses. */
const BATCH = 64;
/** Files named in one filter. */
const FILTER = 500;

/**
 * @typedef {object} Report
 * @property {number} files
 * @property {number} passages stored now
 * @property {number} embedded passages embedded in this run
 * @property {number} removed passages that are gone or were replaced
 * @property {string[]} updated files with passages embedded in this run
 * @property {number} seconds spent embedding and storing
 * @property {boolean} complete false when interrupted
 *
 * @typedef {{ file: string; parts: number; stored: Set<number>; mixed: boolean }} StoredFile
 * @typedef {import("rulake/langchain").RuLakeVectorStore<import("./passages.mjs").Place>} Store
 */

/**
 * @param {import("./corpus.mjs").Corpus} corpus
 * @param {Store} store
 * @param {{ onProgress: (done: number, total: number) => void; signal: AbortSignal }} options when aborted, what is stored stays
 * @returns {Promise<Report>}
 */
export async function ingest(corpus, store, { onProgress, signal }) {
  const stored = await storedFiles(store);
  /** @type {import("./passages.mjs").Passage[]} */
  const missing = [];
  const outdated = new Set(stored.keys());
  let passages = 0;
  for (const sourceFile of corpus.files) {
    const known = stored.get(sourceFile.source);
    const same = known !== undefined && !known.mixed && known.file === fingerprint(sourceFile);
    if (same) outdated.delete(sourceFile.source);
    if (same && known.stored.size === known.parts) {
      passages += known.parts;
      continue;
    }
    const wanted = await passagesOf(sourceFile);
    const left = same ? wanted.filter(({ metadata }) => !known.stored.has(metadata.part)) : wanted;
    passages += wanted.length - left.length;
    missing.push(...left);
  }

  const started = performance.now();
  const gone = [...outdated];
  for (let at = 0; at < gone.length; at += FILTER) {
    await store.delete({ filter: { source: { $in: gone.slice(at, at + FILTER) } } });
  }
  let embedded = 0;
  try {
    if (missing.length > 0) onProgress(0, missing.length);
    await store.addDocuments(missing, {
      batchSize: BATCH,
      signal,
      onProgress: ({ done, total }) => {
        embedded = done;
        onProgress(done, total);
      },
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return {
    files: corpus.files.length,
    passages: passages + embedded,
    embedded,
    removed: gone.reduce((sum, source) => sum + (stored.get(source)?.stored.size ?? 0), 0),
    updated: [...new Set(missing.slice(0, embedded).map(({ metadata }) => metadata.source))],
    seconds: (performance.now() - started) / 1000,
    complete: embedded === missing.length,
  };
}

/**
 * The report of a run that may not write.
 *
 * @param {import("./corpus.mjs").Corpus} corpus
 * @param {Store} store
 * @returns {Report}
 */
export function unchanged(corpus, store) {
  const { size } = store.collection;
  return {
    files: corpus.files.length,
    passages: size,
    embedded: 0,
    removed: 0,
    updated: [],
    seconds: 0,
    complete: true,
  };
}

/** What is stored of each file. */
async function storedFiles(/** @type {Store} */ store) {
  /** @type {Map<string, StoredFile>} */
  const files = new Map();
  for await (const { metadata } of store.collection.scan({ include: ["metadata"] })) {
    if (metadata === undefined) continue;
    const { source, file, part, parts } = metadata;
    const known = files.get(source) ?? { file, parts, stored: new Set(), mixed: false };
    known.mixed ||= known.file !== file || known.parts !== parts;
    known.stored.add(part);
    files.set(source, known);
  }
  return files;
}
