import { Embeddings, type EmbeddingsParams } from "@langchain/core/embeddings";
import { RuLakeError } from "../errors.js";
import { checkOptions } from "../options.js";
import { isEmbedder, OnnxEmbedder } from "./embedder.js";
import { EMBEDDER_OPTIONS, type OnnxEmbedderOptions } from "./embedder-options.js";
import { toNumbers } from "./numbers.js";

/** Options of {@link OnnxEmbeddings}: those of the embedder, and LangChain's concurrency and retries. */
export interface OnnxEmbeddingsParams extends OnnxEmbedderOptions, EmbeddingsParams {
  /** An embedder to use instead of a new one; it stays the caller's to close. Not together with embedder options. */
  embedder?: OnnxEmbedder;
}

const CALLER_OPTIONS = ["maxConcurrency", "maxRetries", "onFailedAttempt"] as const;

/**
 * Local embeddings for LangChain.js: an ONNX model in worker threads, no server, no key.
 *
 * Making one is cheap; the model loads at the first text. All of them, and every `OnnxEmbedder` and LlamaIndex
 * `OnnxEmbedding`, share the workers of a model.
 *
 * @example
 * ```ts
 * const embeddings = new OnnxEmbeddings();
 * const vector = await embeddings.embedQuery("how do I rotate keys?");
 * ```
 */
export class OnnxEmbeddings extends Embeddings implements AsyncDisposable {
  /** The framework-neutral embedder: `Float32Array` results, signals and progress. Stores use it directly. */
  readonly embedder: OnnxEmbedder;
  readonly #owned: boolean;

  /**
   * @param options - options, or an embedder to use
   * @throws as the constructor of {@link OnnxEmbedder}
   */
  constructor(options: OnnxEmbeddingsParams | OnnxEmbedder = {}) {
    const given = isEmbedder(options) ? { embedder: options } : options;
    const { embedder, maxConcurrency, maxRetries, onFailedAttempt, ...rest } = given;
    const names = embedder === undefined ? EMBEDDER_OPTIONS : [];
    checkOptions(rest, [...names, ...CALLER_OPTIONS, "embedder"], "OnnxEmbeddings");
    super({
      ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
      maxRetries: maxRetries ?? 2,
      onFailedAttempt: onFailedAttempt ?? stopAtLastingErrors,
    });
    this.embedder = embedder ?? new OnnxEmbedder(rest);
    this.#owned = embedder === undefined;
  }

  /** Length of the vectors. */
  get dimensions(): number {
    return this.embedder.dimensions;
  }

  /** Embeds texts to be searched in, with the model's document prefix. */
  async embedDocuments(documents: string[]): Promise<number[][]> {
    const vectors = await this.caller.call(() => this.embedder.embedBatch(documents, { kind: "document" }));
    return toNumbers(vectors);
  }

  /** Embeds a text to search for, with the model's query prefix. */
  async embedQuery(document: string): Promise<number[]> {
    const vector = await this.caller.call(() => this.embedder.embed(document, { kind: "query" }));
    return Array.from(vector);
  }

  /** Closes the embedder, unless it was passed in. */
  async close(): Promise<void> {
    if (this.#owned) await this.embedder.close();
  }

  /** {@link OnnxEmbeddings.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** LangChain retries whatever it does not know, six times with growing pauses; a missing model will still be missing. */
function stopAtLastingErrors(error: unknown): void {
  if (!RuLakeError.isInstance(error) || error.category !== "transient") throw error;
}
