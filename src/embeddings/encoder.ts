import { EmbedError } from "../errors.js";
import type { ExitGate } from "./exit-gate.js";
import { normalizeInPlace, pool, weightedMean } from "./pooling.js";
import type { EncodeSettings, WorkerModel } from "./protocol.js";
import { OnnxSession } from "./session.js";
import { TextTokenizer } from "./tokenizer.js";

/**
 * Text to vector, one text per inference. Texts never share a tensor: dynamic int8 quantization scales activations by
 * the whole tensor, so a batch-mate would change the vector.
 */
export class Encoder {
  readonly #tokenizer: TextTokenizer;
  readonly #session: OnnxSession;

  private constructor(tokenizer: TextTokenizer, session: OnnxSession) {
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  static async load(model: WorkerModel, gate: ExitGate): Promise<Encoder> {
    // One after the other: a worker that reports a broken tokenizer must not be loading weights.
    const tokenizer = await TextTokenizer.load(model.folder);
    return new Encoder(tokenizer, await OnnxSession.load(model, gate));
  }

  /**
   * @param stopped - asked between inferences of one long text; `true` gives up
   * @returns the vector, or `undefined` when stopped
   * @throws EmbedError `TEXT_TOO_LONG`, `INVALID_OPTION`, `MODEL_INVALID`, `INFERENCE_FAILED`
   */
  async encode(
    text: string,
    settings: EncodeSettings,
    stopped: () => boolean,
  ): Promise<Float32Array | undefined> {
    const room = settings.maxTokens - this.#tokenizer.overhead;
    if (room < 1) {
      throw new EmbedError(`'maxTokens' ${settings.maxTokens} leaves no room beside the special tokens`, {
        code: "INVALID_OPTION",
        context: { maxTokens: settings.maxTokens, specialTokens: this.#tokenizer.overhead },
      });
    }
    const whole = settings.prefix + text;
    const vector =
      settings.truncate === "average"
        ? await this.#average(whole, room, settings, stopped)
        : await this.#window(this.#limited(whole, room, settings), settings);
    return vector === undefined ? undefined : finish(vector, settings);
  }

  #limited(text: string, room: number, settings: EncodeSettings): number[] {
    if (settings.truncate === "end") return this.#tokenizer.head(text, room);
    const ids = this.#tokenizer.head(text, room + 1);
    if (ids.length <= room) return ids;
    throw new EmbedError(`a text of ${text.length} characters has more than ${settings.maxTokens} tokens`, {
      code: "TEXT_TOO_LONG",
      context: { characters: text.length, maxTokens: settings.maxTokens },
      hint: "split it, or set truncate to 'end' or 'average'",
    });
  }

  /** Mean over consecutive windows of `room` tokens, each normalised and weighted by its tokens. */
  async #average(
    text: string,
    room: number,
    settings: EncodeSettings,
    stopped: () => boolean,
  ): Promise<Float32Array | undefined> {
    const vectors: Float32Array[] = [];
    const weights: number[] = [];
    let rest: number[] = [];
    const flush = async (ids: number[]) => {
      const vector = await this.#window(ids, settings);
      vectors.push(settings.normalize ? normalizeInPlace(vector) : vector);
      weights.push(ids.length);
    };
    for (const piece of this.#tokenizer.pieces(text)) {
      rest = rest.concat(piece);
      let at = 0;
      for (; rest.length - at > room; at += room) {
        if (stopped()) return undefined;
        await flush(rest.slice(at, at + room));
      }
      rest = rest.slice(at);
    }
    if (rest.length > 0 || vectors.length === 0) await flush(rest);
    return vectors.length === 1 ? vectors[0] : weightedMean(vectors, weights);
  }

  async #window(content: readonly number[], settings: EncodeSettings): Promise<Float32Array> {
    const ids = this.#tokenizer.wrap(content);
    // Only a tokenizer without special tokens gives nothing at all, and only for an empty text.
    if (ids.length === 0) return new Float32Array(await this.#width(settings));
    const { values, tokens, width } = await this.#session.run(ids, settings.pooling !== undefined);
    return tokens === 0 ? values.slice(0, width) : pool(values, tokens, width, settings.pooling ?? "mean");
  }

  async #width(settings: EncodeSettings): Promise<number> {
    return (await this.#session.run([0], settings.pooling !== undefined)).width;
  }
}

function finish(vector: Float32Array, settings: EncodeSettings): Float32Array {
  const dimensions = settings.dimensions ?? vector.length;
  if (dimensions > vector.length) {
    throw new EmbedError(`'dimensions' is ${dimensions}, but the model gives ${vector.length}`, {
      code: "INVALID_OPTION",
      context: { dimensions, available: vector.length },
    });
  }
  const cut = dimensions < vector.length ? vector.slice(0, dimensions) : vector;
  const done = settings.normalize ? normalizeInPlace(cut) : cut;
  if (!done.every(Number.isFinite)) {
    throw new EmbedError("the model gave a vector that is not made of finite numbers", {
      code: "INFERENCE_FAILED",
    });
  }
  return done;
}
