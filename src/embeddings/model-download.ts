import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { EmbedError } from "../errors.js";
import { isModelFolder } from "./model-folder.js";
import type { ModelFile } from "./model-registry.js";
import type { LocatedModel } from "./models.js";

/** A transfer that brings nothing for this long is given up. */
const IDLE_MS = 30_000;
const running = new Map<string, Promise<void>>();

/**
 * Downloads a known model into its cache folder. The folder appears only when every file is there and has the pinned
 * digest; callers in the same process share one download.
 *
 * @throws EmbedError `MODEL_DOWNLOAD_FAILED` (transient) or `MODEL_DIGEST_MISMATCH` (permanent)
 */
export function downloadModel(model: LocatedModel): Promise<void> {
  const current = running.get(model.folder);
  if (current !== undefined) return current;
  const started = fetchAll(model).finally(() => running.delete(model.folder));
  running.set(model.folder, started);
  return started;
}

async function fetchAll(model: LocatedModel): Promise<void> {
  if (isModelFolder(model.folder)) return;
  const staging = `${model.folder}.${randomUUID()}.part`;
  try {
    for (const file of model.known?.files ?? [])
      await fetchFile(model.name, file, join(staging, ...file.path.split("/")));
    await rename(staging, model.folder).catch((error: unknown) => {
      // Another process finished first; its files have the same digests.
      if (!isModelFolder(model.folder)) throw error;
    });
  } catch (cause) {
    if (EmbedError.isInstance(cause)) throw cause;
    throw failed(model.name, model.folder, "the files could not be written", cause);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function fetchFile(model: string, file: ModelFile, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const controller = new AbortController();
  let idle = setTimeout(() => controller.abort(), IDLE_MS);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    const response = await fetch(file.url, { signal: controller.signal });
    if (!response.ok || response.body === null) {
      throw failed(model, file.url, `the server answered ${response.status}`);
    }
    await pipeline(
      response.body,
      async function* (source: AsyncIterable<Uint8Array>) {
        for await (const piece of source) {
          clearTimeout(idle);
          idle = setTimeout(() => controller.abort(), IDLE_MS);
          bytes += piece.byteLength;
          if (file.bytes !== undefined && bytes > file.bytes)
            throw mismatch(model, file, `more than ${file.bytes} bytes`);
          hash.update(piece);
          yield piece;
        }
      },
      createWriteStream(target),
    );
  } catch (cause) {
    if (EmbedError.isInstance(cause)) throw cause;
    const why = controller.signal.aborted
      ? `nothing arrived for ${IDLE_MS / 1000} s`
      : "the transfer broke off";
    throw failed(model, file.url, why, cause);
  } finally {
    clearTimeout(idle);
  }
  const digest = hash.digest("hex");
  if (digest !== file.sha256.toLowerCase()) throw mismatch(model, file, digest);
}

function failed(model: string, where: string, why: string, cause?: unknown): EmbedError {
  return new EmbedError(`downloading the model '${model}' failed: ${why} (${where})`, {
    code: "MODEL_DOWNLOAD_FAILED",
    category: "transient",
    context: { model, where },
    hint: "install the model as a package or pass a folder to work without the network",
    cause,
  });
}

function mismatch(model: string, file: ModelFile, found: string): EmbedError {
  return new EmbedError(`the model '${model}' was refused: ${file.path} does not have the pinned SHA-256`, {
    code: "MODEL_DIGEST_MISMATCH",
    context: { model, path: file.path, url: file.url, expected: file.sha256, found },
  });
}
