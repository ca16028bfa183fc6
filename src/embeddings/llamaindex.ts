import { BaseEmbedding, type EmbeddingInfo, type MessageContentDetail } from "llamaindex";
import { checkOptions, invalidOption } from "../options.js";
import { isEmbedder, OnnxEmbedder } from "./embedder.js";
import { EMBEDDER_OPTIONS, type OnnxEmbedderOptions } from "./embedder-options.js";
import { toNumbers } from "./numbers.js";

/** Options of {@link OnnxEmbedding}: those of the embedder, and LlamaIndex's batch size. */
export interface OnnxEmbeddingOptions extends OnnxEmbedderOptions {
  /** An embedder to use instead of a new one; it stays the caller's to close. Not together with embedder options. */
  embedder?: OnnxEmbedder;
  /** Texts LlamaIndex hands over at a time; it waits for each batch, so few large ones keep the workers busy. Default 256. */
  embedBatchSize?: number;
}

/**
 * Local embeddings for LlamaIndex.TS: an ONNX model in worker threads, no server, no key.
 *
 * Making one is cheap; the model loads at the first text. All of them, and every `OnnxEmbedder` and LangChain
 * `OnnxEmbeddings`, share the workers of a model.
 *
 * @example
 * ```ts
 * Settings.embedModel = new OnnxEmbedding();
 * ```
 */
export class OnnxEmbedding extends BaseEmbedding implements AsyncDisposable {
  /** The framework-neutral embedder: `Float32Array` results, signals and progress. Stores use it directly. */
  readonly embedder: OnnxEmbedder;
  override embedInfo: EmbeddingInfo;
  readonly #owned: boolean;

  /**
   * @param options - options, or an embedder to use
   * @throws as the constructor of {@link OnnxEmbedder}
   */
  constructor(options: OnnxEmbeddingOptions | OnnxEmbedder = {}) {
    super();
    const given = isEmbedder(options) ? { embedder: options } : options;
    const { embedder, embedBatchSize = 256, ...rest } = given;
    const names = embedder === undefined ? EMBEDDER_OPTIONS : [];
    checkOptions(rest, [...names, "embedder", "embedBatchSize"], "OnnxEmbedding");
    if (!Number.isInteger(embedBatchSize) || embedBatchSize < 1) {
      throw invalidOption("OnnxEmbedding", "embedBatchSize", "a whole number from 1", embedBatchSize);
    }
    this.embedBatchSize = embedBatchSize;
    this.embedder = embedder ?? new OnnxEmbedder(rest);
    this.#owned = embedder === undefined;
    const info: EmbeddingInfo = { maxTokens: this.embedder.maxTokens };
    // Known only after the first text for the rare folder whose config.json does not tell.
    Object.defineProperty(info, "dimensions", { get: () => this.embedder.dimensions, enumerable: true });
    this.embedInfo = info;
  }

  /** Embeds a text to be searched in, with the model's document prefix. */
  async getTextEmbedding(text: string): Promise<number[]> {
    return Array.from(await this.embedder.embed(text, { kind: "document" }));
  }

  /** Embeds texts to be searched in. A field, because BaseEmbedding sets a field of this name that would hide a method. */
  override getTextEmbeddings = async (texts: string[]): Promise<number[][]> => {
    return toNumbers(await this.embedder.embedBatch(texts, { kind: "document" }));
  };

  /** Embeds a text to search for, with the model's query prefix; `null` for content that is not text. */
  override async getQueryEmbedding(query: MessageContentDetail | string): Promise<number[] | null> {
    const text = typeof query === "string" ? query : query.type === "text" ? query.text : undefined;
    if (text === undefined) return null;
    return Array.from(await this.embedder.embed(text, { kind: "query" }));
  }

  /** Closes the embedder, unless it was passed in. */
  async close(): Promise<void> {
    if (this.#owned) await this.embedder.close();
  }

  /** {@link OnnxEmbedding.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
