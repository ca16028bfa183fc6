import { EmbedError } from "../errors.js";
import { checkOptions, checkSignal, invalidOption } from "../options.js";
import { nextTurn } from "../turns.js";
import type { VectorCache } from "./cache.js";
import { type CheckedOptions, checkEmbedderOptions, type OnnxEmbedderOptions } from "./embedder-options.js";
import { downloadModel } from "./model-download.js";
import type { Dtype, ModelFolder } from "./model-folder.js";
import { describeModel, type LocatedModel, locateModel } from "./models.js";
import type { EncodeSettings } from "./protocol.js";
import { type RunOptions, WorkerPool } from "./worker-pool.js";

/** Whether a text is searched for or searched in; models with prefixes tell them apart. */
export type EmbedKind = "query" | "document";

/** Options of {@link OnnxEmbedder.embed}. */
export interface EmbedOptions {
  /** Default `"document"`. */
  kind?: EmbedKind | undefined;
  /** Gives up: the promise rejects with `signal.reason`, and texts not yet begun are dropped. */
  signal?: AbortSignal | undefined;
}

/** Options of {@link OnnxEmbedder.embedBatch}. */
export interface EmbedBatchOptions extends EmbedOptions {
  /** Called when some texts are done. What it throws ends the call. */
  onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

/** Texts looked at in one turn of the event loop. */
const TURN = 20_000;
/** Cache lookups in one turn; each hit is copied. */
const CACHE_TURN = 1000;
/** Longer texts are not cached: as keys they would cost more than they save. */
const CACHE_CHARACTERS = 32_768;

/**
 * Embeds texts with an ONNX model, tokenizing and inference in worker threads, off the event loop.
 *
 * A text has the same vector, bit for bit, whatever it is embedded with. Embedders of the same model share their
 * workers. Nothing is loaded before the first use, and workers at rest do not keep the process alive.
 *
 * An empty text is embedded as the model's special tokens; lone surrogates count as U+FFFD.
 *
 * @example
 * ```ts
 * await using embedder = new OnnxEmbedder();
 * const [cat] = await embedder.embedBatch(["a cat sat on the mat"]);
 * const query = await embedder.embed("felines", { kind: "query" });
 * ```
 */
export class OnnxEmbedder implements AsyncDisposable {
  /** The model's name, or its folder as given. */
  readonly model: string;
  /** Format of the weights in use. */
  readonly dtype: Dtype;
  /** Most tokens of a text that are looked at, special tokens included. */
  readonly maxTokens: number;
  readonly #options: CheckedOptions;
  readonly #located: LocatedModel;
  readonly #files: ModelFolder;
  #closed = false;
  #pool: WorkerPool | undefined;
  #dimensions: number | undefined;

  /**
   * Finds the model's files and reads its configuration; loads nothing.
   *
   * @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION`;
   * EmbedError `MODEL_NOT_FOUND`, `MODEL_INVALID`, `DTYPE_NOT_FOUND`
   */
  constructor(options: OnnxEmbedderOptions = {}) {
    const where = "OnnxEmbedder";
    this.#options = checkEmbedderOptions(options, where);
    this.#located = locateModel(this.#options.model);
    this.#files = describeModel(this.#located, this.#options.dtype);
    this.model = this.#located.name;
    this.dtype = this.#files.dtype;
    const { maxTokens, dimensions } = this.#options;
    const most = this.#files.positions ?? Number.POSITIVE_INFINITY;
    if (maxTokens !== undefined && maxTokens > most) {
      throw invalidOption(where, "maxTokens", `at most ${most}, the positions of this model`, maxTokens);
    }
    const available = this.#files.dimensions;
    if (dimensions !== undefined && available !== undefined && dimensions > available) {
      throw invalidOption(
        where,
        "dimensions",
        `at most ${available}, the dimensions of this model`,
        dimensions,
      );
    }
    this.maxTokens = maxTokens ?? this.#files.maxTokens;
    this.#dimensions = dimensions ?? available;
  }

  /**
   * Length of the vectors.
   *
   * @throws EmbedError `DIMENSIONS_UNKNOWN` when the model's config.json does not tell and nothing was embedded yet
   */
  get dimensions(): number {
    if (this.#dimensions !== undefined) return this.#dimensions;
    throw new EmbedError(`the files of '${this.model}' do not tell its dimensions`, {
      code: "DIMENSIONS_UNKNOWN",
      context: { model: this.model },
      hint: "call ready() or embed a text first, or pass 'dimensions'",
    });
  }

  /** Loads the model now (downloading it where that is needed) rather than at the first text. */
  async ready(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions(options, ["signal"], "OnnxEmbedder.ready");
    await this.#embed([""], "document", true, options.signal);
  }

  /**
   * Embeds one text, ahead of batches under way.
   *
   * @throws EmbedError `INVALID_INPUT`, `TEXT_TOO_LONG`, `CLOSED`, `RUNTIME_NOT_FOUND`, `MODEL_INVALID`,
   * `WORKER_CRASHED` (try again); `signal.reason` when aborted
   */
  async embed(text: string, options: EmbedOptions = {}): Promise<Float32Array> {
    const { kind, signal } = checkCall(options, ["kind", "signal"], "OnnxEmbedder.embed");
    const [vector] = await this.#embed([text], kind, true, signal);
    return vector as Float32Array;
  }

  /**
   * Embeds texts; the vectors come in their order. One text that cannot be embedded fails the call, naming it in
   * `context.index`.
   *
   * @throws as {@link OnnxEmbedder.embed}
   */
  async embedBatch(texts: readonly string[], options: EmbedBatchOptions = {}): Promise<Float32Array[]> {
    const names = ["kind", "signal", "onProgress"];
    const { kind, signal, onProgress } = checkCall(options, names, "OnnxEmbedder.embedBatch");
    if (!Array.isArray(texts)) {
      throw new EmbedError("embedBatch takes an array of strings", {
        code: "INVALID_INPUT",
        context: { type: typeof texts },
      });
    }
    // Callers may reuse their array once the call has returned (LlamaIndex does).
    return this.#embed(texts.slice(), kind, false, signal, onProgress);
  }

  /** Ends the workers unless another embedder uses them. Calls under way reject with `CLOSED`; closing twice is fine. */
  async close(): Promise<void> {
    this.#closed = true;
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.release(this, closed(this.model));
  }

  /** {@link OnnxEmbedder.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #embed(
    texts: readonly string[],
    kind: EmbedKind,
    urgent: boolean,
    signal: AbortSignal | undefined,
    onProgress?: EmbedBatchOptions["onProgress"],
  ): Promise<Float32Array[]> {
    if (this.#closed) throw closed(this.model);
    signal?.throwIfAborted();
    for (let at = 0; at < texts.length; at++) {
      if (typeof texts[at] !== "string") throw notText(texts[at], at);
      if (at % TURN === TURN - 1) await nextTurn();
    }
    const settings = this.#settings(kind);
    const { cache } = this.#options;
    if (cache === undefined) {
      const total = texts.length;
      const onDone = onProgress && ((done: number) => onProgress({ done, total }));
      return this.#run(texts, settings, { urgent, signal, onDone });
    }
    return this.#cached(cache, texts, settings, urgent, signal, onProgress);
  }

  async #cached(
    cache: VectorCache,
    texts: readonly string[],
    settings: EncodeSettings,
    urgent: boolean,
    signal: AbortSignal | undefined,
    onProgress: EmbedBatchOptions["onProgress"],
  ): Promise<Float32Array[]> {
    const total = texts.length;
    const base = this.#cacheKey(settings);
    const keys = texts.map((text) => (text.length > CACHE_CHARACTERS ? undefined : base + text));
    const vectors: (Float32Array | undefined)[] = [];
    for (let at = 0; at < total; at += CACHE_TURN) {
      signal?.throwIfAborted();
      const asked = keys
        .slice(at, at + CACHE_TURN)
        .map((key) => (key === undefined ? undefined : cache.get(key)));
      vectors.push(...(await Promise.all(asked)));
      if (at + CACHE_TURN < total) await nextTurn();
    }
    const isVector = (vector: unknown) =>
      vector instanceof Float32Array && vector.length === this.#dimensions;
    const missing = vectors.flatMap((vector, at) => (isVector(vector) ? [] : [at]));
    const hits = total - missing.length;
    if (hits > 0) onProgress?.({ done: hits, total });
    const fresh = await this.#run(
      missing.map((at) => texts[at] as string),
      settings,
      { urgent, signal, onDone: onProgress && ((done) => onProgress({ done: hits + done, total })) },
    );
    for (const [n, at] of missing.entries()) {
      const vector = fresh[n] as Float32Array;
      vectors[at] = vector;
      const key = keys[at];
      if (key !== undefined) await cache.set(key, vector);
    }
    return vectors as Float32Array[];
  }

  async #run(
    texts: readonly string[],
    settings: EncodeSettings,
    options: Omit<RunOptions, "owner">,
  ): Promise<Float32Array[]> {
    // Closed while validating or asking the cache: a pool taken now would never be released.
    if (this.#closed) throw closed(this.model);
    this.#pool ??= WorkerPool.acquire(
      { folder: this.#files.folder, onnxFile: this.#files.onnxFile, device: this.#options.device },
      this.#options.workers,
      () => (this.#located.source === "hub" ? downloadModel(this.#located) : Promise.resolve()),
    );
    const vectors = await this.#pool.run(texts, settings, { ...options, owner: this });
    const width = vectors[0]?.length;
    if (width === undefined) return vectors;
    this.#dimensions ??= width;
    if (width === this.#dimensions) return vectors;
    throw new EmbedError(
      `config.json of '${this.model}' promises ${this.#dimensions} dimensions, the model gives ${width}`,
      {
        code: "MODEL_INVALID",
        context: { model: this.model, expected: this.#dimensions, found: width },
      },
    );
  }

  #settings(kind: EmbedKind): EncodeSettings {
    const { normalize, prefixes, dimensions, truncate } = this.#options;
    return {
      prefix: prefixes[kind] ?? this.#files.prefixes[kind],
      maxTokens: this.maxTokens,
      pooling: this.#options.pooling ?? this.#files.pooling,
      normalize,
      dimensions,
      truncate,
    };
  }

  /** Names everything that a vector depends on, apart from the text. */
  #cacheKey(settings: EncodeSettings): string {
    return `${JSON.stringify([this.model, this.dtype, settings])}\n`;
  }
}

/** Whether this is an embedder, be it from the ESM or the CJS build: `instanceof` knows only its own. */
export function isEmbedder(value: object): value is OnnxEmbedder {
  return "embedBatch" in value && typeof value.embedBatch === "function";
}

function checkCall<T extends EmbedBatchOptions>(
  options: T,
  names: readonly string[],
  where: string,
): T & { kind: EmbedKind } {
  checkOptions(options, names, where);
  const { kind = "document", signal, onProgress } = options;
  if (kind !== "query" && kind !== "document")
    throw invalidOption(where, "kind", "'query' or 'document'", kind);
  checkSignal(signal, where);
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw invalidOption(where, "onProgress", "a function", onProgress);
  }
  return { ...options, kind };
}

function notText(value: unknown, index: number): EmbedError {
  const type = value === null ? "null" : typeof value;
  return new EmbedError(`only strings can be embedded, but text ${index} is ${type}`, {
    code: "INVALID_INPUT",
    context: { index, type },
  });
}

function closed(model: string): EmbedError {
  return new EmbedError(`the embedder of '${model}' is closed`, { code: "CLOSED", context: { model } });
}
