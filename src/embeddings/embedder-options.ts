import { availableParallelism } from "node:os";
import { checkOptions, invalidOption, oneOf } from "../options.js";
import { MemoryVectorCache, type VectorCache } from "./cache.js";
import { DTYPES, type Dtype } from "./model-folder.js";
import { DEFAULT_MODEL } from "./model-registry.js";
import { POOLINGS, type Pooling } from "./pooling.js";
import type { Device, Truncate } from "./protocol.js";

/** Options of `OnnxEmbedder`, `OnnxEmbeddings` and `OnnxEmbedding`. All are optional. */
export interface OnnxEmbedderOptions {
  /**
   * A known name (`"all-MiniLM-L6-v2"`, the default), an installed model package, or a folder with `tokenizer.json`,
   * `config.json` and `onnx/`.
   */
  model?: string;
  /** Weights to use: `fp32` is `onnx/model.onnx`, `fp16` `model_fp16.onnx`, `int8` `model_quantized.onnx`. Default: what is there. */
  dtype?: Dtype;
  /** Execution provider of onnxruntime. Default `"cpu"`. */
  device?: Device;
  /**
   * Worker threads, each with the model loaded once (about 100 MB for the default model). Default: the cores available,
   * at most 4; 1 for other devices than the CPU.
   */
  workers?: number;
  /** Most tokens of a text, special tokens included. Default and upper bound: what the model was made for (256 for the default model). */
  maxTokens?: number;
  /** Default: what the model's files say, else `"mean"`. */
  pooling?: Pooling;
  /** Scale vectors to length 1. Default `true`. */
  normalize?: boolean;
  /** Texts put before queries and before documents, for models trained with them. Default: what the model's files say, else none. */
  prefixes?: { query?: string; document?: string };
  /** Keep the first so many numbers of every vector (then normalise): for models trained so (Matryoshka). Default: all. */
  dimensions?: number;
  /**
   * A text of more than `maxTokens`: `"end"` (default) leaves out its end, `"error"` refuses it with `TEXT_TOO_LONG`,
   * `"average"` embeds it in windows and takes their mean, weighted by tokens (a prefix is in the first window only).
   */
  truncate?: Truncate;
  /**
   * Keep vectors of texts seen before: `true` for 64 MiB in memory, a number for so many bytes, or a store of your own.
   * Texts over 32,768 characters are not kept. Default `false`.
   */
  cache?: boolean | number | VectorCache;
}

/** Every option name of {@link OnnxEmbedderOptions}. */
export const EMBEDDER_OPTIONS = [
  "model",
  "dtype",
  "device",
  "workers",
  "maxTokens",
  "pooling",
  "normalize",
  "prefixes",
  "dimensions",
  "truncate",
  "cache",
] as const satisfies readonly (keyof OnnxEmbedderOptions)[];

const DEVICES: readonly Device[] = ["cpu", "cuda", "dml", "coreml", "webgpu"];
const TRUNCATES: readonly Truncate[] = ["end", "error", "average"];

/** Options after validation, defaults filled in where they do not depend on the model. */
export interface CheckedOptions {
  model: string;
  dtype: Dtype | undefined;
  device: Device;
  workers: number;
  maxTokens: number | undefined;
  pooling: Pooling | undefined;
  normalize: boolean;
  prefixes: { query?: string; document?: string };
  dimensions: number | undefined;
  truncate: Truncate;
  cache: VectorCache | undefined;
}

/** @throws ConfigError `UNKNOWN_OPTION`, `INVALID_OPTION` */
export function checkEmbedderOptions(options: OnnxEmbedderOptions, where: string): CheckedOptions {
  checkOptions(options, EMBEDDER_OPTIONS, where);
  const { model, normalize, prefixes } = options;
  if (model !== undefined && (typeof model !== "string" || model.trim() === "")) {
    throw invalidOption(where, "model", "a model name or folder", model);
  }
  if (normalize !== undefined && typeof normalize !== "boolean") {
    throw invalidOption(where, "normalize", "a boolean", normalize);
  }
  checkOptions(prefixes, ["query", "document"], `${where}: 'prefixes'`);
  for (const kind of ["query", "document"] as const) {
    const prefix: unknown = prefixes?.[kind];
    if (prefix !== undefined && typeof prefix !== "string") {
      throw invalidOption(where, `prefixes.${kind}`, "a string", prefix);
    }
  }
  const device = oneOf(options.device, DEVICES, "device", where) ?? "cpu";
  const cores = device === "cpu" ? Math.min(4, Math.max(1, availableParallelism())) : 1;
  return {
    model: model ?? DEFAULT_MODEL,
    dtype: oneOf(options.dtype, DTYPES, "dtype", where),
    device,
    workers: count(options.workers, 1, 64, "workers", where) ?? cores,
    maxTokens: count(options.maxTokens, 3, 1_000_000, "maxTokens", where),
    pooling: oneOf(options.pooling, POOLINGS, "pooling", where),
    normalize: normalize ?? true,
    prefixes: prefixes ?? {},
    dimensions: count(options.dimensions, 1, 65_536, "dimensions", where),
    truncate: oneOf(options.truncate, TRUNCATES, "truncate", where) ?? "end",
    cache: cacheOf(options.cache, where),
  };
}

function count(
  value: number | undefined,
  least: number,
  most: number,
  name: string,
  where: string,
): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return value;
  throw invalidOption(where, name, `a whole number from ${least} to ${most}`, value);
}

function cacheOf(value: OnnxEmbedderOptions["cache"], where: string): VectorCache | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return new MemoryVectorCache();
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return new MemoryVectorCache(value);
  if (
    typeof value === "object" &&
    value !== null &&
    typeof value.get === "function" &&
    typeof value.set === "function"
  ) {
    return value;
  }
  throw invalidOption(where, "cache", "a boolean, a number of bytes, or an object with get and set", value);
}
