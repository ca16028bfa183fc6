import path from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the checkout. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** An absolute path inside the checkout. */
export const inRoot = (/** @type {string[]} */ ...parts) => path.join(root, ...parts);

/** Build stamps, logs and locks: never committed, safe to delete. */
export const cacheDir = inRoot(".cache");
