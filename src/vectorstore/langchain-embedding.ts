import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { OnnxEmbeddings } from "../embeddings/langchain.js";
import { RuLakeError } from "../errors.js";
import { invalidOption } from "../options.js";
import { orAborted } from "../or-aborted.js";

/** @throws ConfigError `INVALID_OPTION` for what cannot embed, such as options in its place */
export function checkEmbeddings(embeddings: EmbeddingsInterface, where: string): void {
  const given: Partial<EmbeddingsInterface> | null | undefined = embeddings;
  if (typeof given?.embedQuery === "function" && typeof given.embedDocuments === "function") return;
  throw invalidOption(
    where,
    "embeddings",
    "a LangChain Embeddings, such as new OnnxEmbeddings()",
    embeddings,
  );
}

/** The vectors of texts to be searched in. Embeddings of others cannot be stopped, but are not waited for after an abort. */
export async function embedDocuments(
  embeddings: EmbeddingsInterface,
  texts: string[],
  signal: AbortSignal | undefined,
): Promise<readonly (number[] | Float32Array)[]> {
  signal?.throwIfAborted();
  if (!isPlainOnnx(embeddings)) return orAborted(embeddings.embedDocuments(texts), signal);
  const options = { kind: "document" as const, ...(signal && { signal }) };
  return embeddings.caller.call(() => embeddings.embedder.embedBatch(texts, options));
}

/** The vector of a text to search for. */
export async function embedQuery(
  embeddings: EmbeddingsInterface,
  text: string,
  signal: AbortSignal | undefined,
): Promise<number[] | Float32Array> {
  signal?.throwIfAborted();
  if (!isPlainOnnx(embeddings)) return orAborted(embeddings.embedQuery(text), signal);
  const options = { kind: "query" as const, ...(signal && { signal }) };
  return embeddings.caller.call(() => embeddings.embedder.embed(text, options));
}

/** Length of the vectors to come, where the embeddings tell before the first text. */
export function knownDimensions(embeddings: EmbeddingsInterface): number | undefined {
  if (!isPlainOnnx(embeddings)) return undefined;
  try {
    return embeddings.dimensions;
  } catch (error) {
    if (RuLakeError.isInstance(error) && error.code === "DIMENSIONS_UNKNOWN") return undefined;
    throw error;
  }
}

/**
 * Whether the embedder underneath can be asked for its `Float32Array`s, with a signal: not if a subclass changed what
 * LangChain's methods return.
 */
function isPlainOnnx(embeddings: EmbeddingsInterface): embeddings is OnnxEmbeddings {
  const { embedDocuments, embedQuery } = OnnxEmbeddings.prototype;
  return (
    embeddings instanceof OnnxEmbeddings &&
    embeddings.embedDocuments === embedDocuments &&
    embeddings.embedQuery === embedQuery
  );
}
