import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { EmbedError } from "../errors.js";

/** Characters tokenized at once when a whole long text is wanted. */
const PIECE = 32_768;
/** Tokens near a cut may differ from those of the uncut text; this many are not trusted. */
const MARGIN = 16;

/**
 * Turns texts into token ids. The `truncation` and `padding` of tokenizer.json are not applied: lengths are the caller's
 * business, and a text that runs alone needs no padding.
 */
export class TextTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #before: readonly number[];
  readonly #after: readonly number[];

  constructor(tokenizer: object, config: object) {
    this.#tokenizer = new Tokenizer(tokenizer, config);
    const bare: number[] = this.#tokenizer.encode("a", { add_special_tokens: false }).ids;
    const whole: number[] = this.#tokenizer.encode("a").ids;
    const at = whole.findIndex(
      (_, start) => bare.length > 0 && bare.every((id, i) => whole[start + i] === id),
    );
    this.#before = at < 0 ? whole : whole.slice(0, at);
    this.#after = at < 0 ? [] : whole.slice(at + bare.length);
  }

  /** @throws EmbedError `MODEL_INVALID` */
  static async load(folder: string): Promise<TextTokenizer> {
    try {
      const config = await readFile(join(folder, "tokenizer_config.json"), "utf8").catch(() => "{}");
      const tokenizer = await readFile(join(folder, "tokenizer.json"), "utf8");
      return new TextTokenizer(JSON.parse(tokenizer) as object, JSON.parse(config) as object);
    } catch (cause) {
      throw new EmbedError(`the tokenizer in '${folder}' cannot be used`, {
        code: "MODEL_INVALID",
        context: { folder },
        cause,
      });
    }
  }

  /** How many special tokens every sequence gets. */
  get overhead(): number {
    return this.#before.length + this.#after.length;
  }

  /** The first `count` tokens of a text, without special tokens. The cost grows with `count`, not with the text. */
  head(text: string, count: number): number[] {
    const wellFormed = replaceLoneSurrogates;
    for (let chars = Math.max(2048, count * 16); chars < text.length; chars *= 4) {
      const ids = this.#ids(wellFormed(text.slice(0, boundary(text, chars))));
      if (ids.length >= count + MARGIN) return ids.slice(0, count);
    }
    return this.#ids(wellFormed(text)).slice(0, count);
  }

  /** All tokens of a text, without special tokens, in pieces. */
  *pieces(text: string): Generator<number[]> {
    for (let start = 0; start < text.length; ) {
      const end = text.length - start <= PIECE ? text.length : boundary(text, start + PIECE);
      yield this.#ids(replaceLoneSurrogates(text.slice(start, end)));
      start = end;
    }
  }

  /** Puts the special tokens around content tokens. */
  wrap(ids: readonly number[]): number[] {
    return [...this.#before, ...ids, ...this.#after];
  }

  #ids(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }
}

/** The last place at or before `at` where a text can be cut: ahead of white space, else between two characters. */
function boundary(text: string, at: number): number {
  for (let i = at; i > at - 512 && i > 0; i--) {
    if (/\s/.test(text[i] ?? "") && !/\s/.test(text[i - 1] ?? "")) return i;
  }
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}

function replaceLoneSurrogates(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\uFFFD");
}
