import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/**
 * An ONNX model of one or two nodes, written byte by byte (onnx.proto3): it looks token ids up in `table`, so a text's
 * token vectors are known exactly. The vocabulary is `[UNK] one two three …`, without special tokens.
 */
export interface TinyModel {
  /** One row per token id. */
  table: readonly (readonly number[])[];
  /** `tokens`: [batch, tokens, width] as `last_hidden_state`; `pooled`: the maximum over tokens, [batch, width]. */
  output?: "tokens" | "pooled";
  /** Name of the output. */
  outputName?: string;
  /** Integer type of input_ids. */
  ids?: "int64" | "int32";
  /** Weights and output in half precision; for values that are small whole numbers. */
  half?: boolean;
  /** Other names for the input, to make the model unusable. */
  inputName?: string;
}

const WORDS = ["[UNK]", "one", "two", "three", "four", "five", "six"];

/** Makes a model folder under the temporary directory; `files` adds or replaces (JSON) files. */
export function tinyModelFolder(
  models: Record<string, TinyModel>,
  files: Record<string, unknown> = {},
): string {
  const folder = mkdtempSync(join(tmpdir(), "rulake-tiny-"));
  const width = Object.values(models)[0]?.table[0]?.length ?? 0;
  const all: Record<string, unknown> = {
    "tokenizer.json": tokenizerJson(),
    "tokenizer_config.json": {},
    "config.json": { hidden_size: width, max_position_embeddings: 64, model_type: "bert" },
    ...files,
  };
  for (const [path, content] of Object.entries(all)) {
    if (content !== undefined)
      write(join(folder, path), typeof content === "string" ? content : JSON.stringify(content));
  }
  for (const [path, model] of Object.entries(models)) write(join(folder, path), onnx(model));
  return folder;
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

export function tokenizerJson(): object {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
    },
  };
}

function onnx(model: TinyModel): Uint8Array {
  const { table, output = "tokens", ids = "int64", inputName = "input_ids" } = model;
  const outputName = model.outputName ?? (output === "tokens" ? "last_hidden_state" : "sentence_embedding");
  const width = table[0]?.length ?? 0;
  const FLOAT = model.half ? 10 : 1;
  const flat = table.flat();
  const numbers = model.half ? Uint16Array.from(flat, half) : Float32Array.from(flat);
  const hidden = output === "tokens" ? outputName : "hidden";
  const nodes = [node("Gather", ["table", inputName], [hidden])];
  if (output === "pooled")
    nodes.push(node("ReduceMax", [hidden], [outputName], [ints("axes", [1]), int("keepdims", 0)]));
  const weights = message(
    ...[table.length, width].map((dim) => varint(1, dim)),
    varint(2, FLOAT),
    text(8, "table"),
    bytes(9, new Uint8Array(numbers.buffer)),
  );
  const dims = output === "tokens" ? ["batch", "tokens", width] : ["batch", width];
  const graph = message(
    ...nodes.map((one) => bytes(1, one)),
    text(2, "tiny"),
    bytes(5, weights),
    bytes(11, value(inputName, ids === "int64" ? 7 : 6, ["batch", "tokens"])),
    bytes(12, value(outputName, FLOAT, dims)),
  );
  return message(varint(1, 7), bytes(7, graph), bytes(8, message(text(1, ""), varint(2, 13))));
}

function half(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((Math.abs(value) / 2 ** exponent - 1) * 1024);
}

function node(type: string, inputs: string[], outputs: string[], attributes: Uint8Array[] = []): Uint8Array {
  return message(
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, type),
    ...attributes.map((attribute) => bytes(5, attribute)),
  );
}

function ints(name: string, values: number[]): Uint8Array {
  return message(text(1, name), ...values.map((one) => varint(8, one)), varint(20, 7));
}

function int(name: string, one: number): Uint8Array {
  return message(text(1, name), varint(3, one), varint(20, 2));
}

function value(name: string, type: number, dims: (string | number)[]): Uint8Array {
  const shape = message(
    ...dims.map((dim) => bytes(1, typeof dim === "number" ? message(varint(1, dim)) : message(text(2, dim)))),
  );
  return message(text(1, name), bytes(2, message(bytes(1, message(varint(1, type), bytes(2, shape))))));
}

function message(...fields: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(fields));
}

function number(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...number(value >>> 7)];
}

function varint(field: number, one: number): Uint8Array {
  return Uint8Array.from([...number(field << 3), ...number(one)]);
}

function bytes(field: number, content: Uint8Array): Uint8Array {
  return Uint8Array.from([...number((field << 3) | 2), ...number(content.length), ...content]);
}

function text(field: number, content: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(content));
}
