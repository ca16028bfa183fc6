import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EmbedError } from "../errors.js";
import type { Pooling } from "./pooling.js";

/** Number format of the weights. */
export type Dtype = "fp32" | "fp16" | "int8";

/** Every {@link Dtype}, in the order of preference when a folder has several. */
export const DTYPES: readonly Dtype[] = ["fp32", "int8", "fp16"];

const FILES: Record<Dtype, readonly string[]> = {
  fp32: ["onnx/model.onnx", "model.onnx"],
  fp16: ["onnx/model_fp16.onnx", "model_fp16.onnx"],
  int8: ["onnx/model_quantized.onnx", "onnx/model_int8.onnx", "model_quantized.onnx"],
};

/** What the files of a model folder say about the model. Nothing is loaded. */
export interface ModelFolder {
  folder: string;
  dtype: Dtype;
  /** Absolute path of the ONNX file for `dtype`. */
  onnxFile: string;
  /** Length of the vectors, where a file tells. */
  dimensions: number | undefined;
  /** Most tokens a text may have, special tokens included. */
  maxTokens: number;
  /** Most tokens the position table holds; `undefined` when the model has no such table. */
  positions: number | undefined;
  /** Pooling named by the folder. */
  pooling: Pooling | undefined;
  prefixes: { query: string; document: string };
}

type Json = Record<string, unknown>;

/** Position tables of these families start behind the padding index. */
const OFFSET_POSITIONS = new Set([
  "roberta",
  "xlm-roberta",
  "camembert",
  "mpnet",
  "xlm-roberta-xl",
  "longformer",
]);

const POOLING_MODES: readonly (readonly [string, Pooling])[] = [
  ["pooling_mode_mean_tokens", "mean"],
  ["pooling_mode_cls_token", "cls"],
  ["pooling_mode_lasttoken", "last"],
  ["pooling_mode_max_tokens", "max"],
];

/** Whether the folder looks like a model: a tokenizer beside at least one ONNX file. */
export function isModelFolder(folder: string): boolean {
  return existsSync(join(folder, "tokenizer.json")) && dtypesOf(folder).length > 0;
}

/** The dtypes a folder has files for, most preferred first. */
export function dtypesOf(folder: string): Dtype[] {
  return DTYPES.filter((dtype) => onnxFileOf(folder, dtype) !== undefined);
}

function onnxFileOf(folder: string, dtype: Dtype): string | undefined {
  return FILES[dtype].map((file) => join(folder, file)).find((file) => existsSync(file));
}

/**
 * Reads the small files of a model folder: `config.json`, and where present the sentence-transformers files
 * `sentence_bert_config.json`, `1_Pooling/config.json` and `config_sentence_transformers.json` (prompts).
 *
 * @throws EmbedError `MODEL_INVALID` when files are missing or broken, `DTYPE_NOT_FOUND` when `dtype` is not there
 */
export function readModelFolder(folder: string, dtype?: Dtype): ModelFolder {
  if (!existsSync(join(folder, "tokenizer.json"))) {
    throw invalid(folder, "it has no tokenizer.json");
  }
  const available = dtypesOf(folder);
  const chosen = dtype ?? available[0];
  if (chosen === undefined) throw invalid(folder, `it has no ONNX file (${listOnnx(folder)})`);
  const onnxFile = onnxFileOf(folder, chosen);
  if (onnxFile === undefined) {
    throw new EmbedError(
      `the model in '${folder}' has no ${chosen} weights; it has ${available.join(", ") || "none"}`,
      {
        code: "DTYPE_NOT_FOUND",
        context: { folder, dtype: chosen, available, expected: FILES[chosen][0] },
        hint:
          available[0] === undefined ? "add an onnx/ folder" : `leave out 'dtype' or use '${available[0]}'`,
      },
    );
  }
  const config = readJson(folder, "config.json") ?? {};
  const pooling = readJson(folder, "1_Pooling/config.json");
  const positions = positionsOf(config);
  return {
    folder,
    dtype: chosen,
    onnxFile,
    dimensions: number(pooling?.word_embedding_dimension) ?? hiddenSize(config),
    maxTokens: tokenLimit(folder, positions),
    positions,
    pooling: poolingOf(folder, pooling),
    prefixes: promptsOf(folder),
  };
}

function hiddenSize(config: Json): number | undefined {
  const inner = isJson(config.text_config) ? config.text_config : {};
  return number(config.hidden_size ?? config.d_model ?? config.dim ?? config.n_embd ?? inner.hidden_size);
}

function positionsOf(config: Json): number | undefined {
  const table = number(config.max_position_embeddings ?? config.n_positions);
  if (table === undefined) return undefined;
  if (!OFFSET_POSITIONS.has(String(config.model_type))) return table;
  return table - (number(config.pad_token_id) ?? 1) - 1;
}

function tokenLimit(folder: string, positions: number | undefined): number {
  const sentence = number(readJson(folder, "sentence_bert_config.json")?.max_seq_length);
  const tokenizer = number(readJson(folder, "tokenizer_config.json")?.model_max_length);
  // Tokenizers without a limit write a huge number there.
  const limits = [sentence, tokenizer, positions].filter((limit) => limit !== undefined && limit < 1e6);
  return Math.min(...(limits as number[]), 8192);
}

function poolingOf(folder: string, config: Json | undefined): Pooling | undefined {
  if (config === undefined) return undefined;
  const chosen = Object.keys(config).filter((key) => key.startsWith("pooling_mode_") && config[key] === true);
  if (chosen.length === 0) return undefined;
  const known = POOLING_MODES.find(([key]) => key === chosen[0]);
  if (known === undefined || chosen.length > 1) {
    throw invalid(folder, `1_Pooling/config.json asks for ${chosen.join(" + ")}, which is not supported`);
  }
  return known[1];
}

function promptsOf(folder: string): { query: string; document: string } {
  const prompts = readJson(folder, "config_sentence_transformers.json")?.prompts;
  if (!isJson(prompts)) return { query: "", document: "" };
  const text = (...names: string[]) =>
    names.map((name) => prompts[name]).find((value) => typeof value === "string");
  return { query: (text("query") as string) ?? "", document: (text("document", "passage") as string) ?? "" };
}

function readJson(folder: string, file: string): Json | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, file), "utf8");
  } catch {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : undefined;
  } catch (cause) {
    throw invalid(folder, `${file} is not JSON`, cause);
  }
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : undefined;
}

function listOnnx(folder: string): string {
  for (const place of [join(folder, "onnx"), folder]) {
    if (!existsSync(place)) continue;
    const files = readdirSync(place).filter((name) => name.endsWith(".onnx"));
    if (files.length > 0) return `found ${files.join(", ")}`;
  }
  return "expected onnx/model.onnx, onnx/model_fp16.onnx or onnx/model_quantized.onnx";
}

function invalid(folder: string, why: string, cause?: unknown): EmbedError {
  return new EmbedError(`'${folder}' is not a usable model folder: ${why}`, {
    code: "MODEL_INVALID",
    context: { folder },
    hint: "a model folder holds tokenizer.json, config.json and onnx/model*.onnx",
    cause,
  });
}
