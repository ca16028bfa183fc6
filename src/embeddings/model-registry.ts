import { ConfigError, EmbedError } from "../errors.js";
import type { Pooling } from "./pooling.js";

/** One file of a downloadable model. The digest is what makes the download trustworthy, not the host. */
export interface ModelFile {
  /** Path inside the model folder, with `/`. */
  path: string;
  /** Where to get it, over https (http only from localhost). */
  url: string;
  /** SHA-256 of the content, 64 hexadecimal digits. */
  sha256: string;
  /** Size in bytes; a longer body is cut off as soon as it is noticed. */
  bytes?: number;
}

/** A model known by name: how to install it, how to use it, and where it may be downloaded. */
export interface KnownModel {
  /** The name to pass as `model`. */
  name: string;
  /** Other names people know it by. */
  aliases?: readonly string[];
  /** npm package with the files. */
  package?: string;
  /** Length of its vectors. */
  dimensions: number;
  /** Most tokens it was trained to take, special tokens included. */
  maxTokens: number;
  /** How token vectors become one. Default: what the folder says, else `"mean"`. */
  pooling?: Pooling;
  /** Texts to put before queries and documents. */
  prefixes?: { query?: string; document?: string };
  /** Files to download when nothing is installed. Every one must carry its digest. */
  files?: readonly ModelFile[];
}

const MINILM_PACKAGE = "@rulake/all-minilm-l6-v2";
const MINILM_VERSION = "0.1.0";

function minilmFile(path: string, bytes: number, sha256: string): ModelFile {
  return { path, bytes, sha256, url: `https://unpkg.com/${MINILM_PACKAGE}@${MINILM_VERSION}/${path}` };
}

/** The model used when none is named. */
export const DEFAULT_MODEL = "all-MiniLM-L6-v2";

const models = new Map<string, KnownModel>();

/**
 * Makes a model usable by name, and downloadable when `files` are given.
 *
 * @throws ConfigError `INVALID_OPTION` for an entry without a name or with broken URLs or paths;
 * EmbedError `MODEL_NOT_PINNED` for a file without a SHA-256 digest
 *
 * @example
 * ```ts
 * registerModel({ name: "my-model", dimensions: 768, maxTokens: 512, files: [
 *   { path: "tokenizer.json", url: "https://models.example/tokenizer.json", sha256: "…" },
 *   { path: "onnx/model.onnx", url: "https://models.example/model.onnx", sha256: "…" },
 * ] });
 * ```
 */
export function registerModel(model: KnownModel): void {
  if (typeof model?.name !== "string" || !isModelName(model.name)) {
    throw new ConfigError("registerModel: 'name' must be a name like 'my-model' or 'org/my-model'", {
      code: "INVALID_OPTION",
      context: { option: "name" },
    });
  }
  for (const file of model.files ?? []) {
    if (!/^[0-9a-f]{64}$/i.test(file.sha256 ?? "")) {
      throw new EmbedError(`model '${model.name}': '${file.path}' has no SHA-256 digest, so it is refused`, {
        code: "MODEL_NOT_PINNED",
        context: { model: model.name, path: file.path },
        hint: "take the digest from a source you trust, not from the download itself",
      });
    }
    if (!isInnerPath(file.path) || !isDownloadUrl(file.url)) {
      throw new ConfigError(
        `registerModel: '${model.name}': '${file.path}' needs a path inside the model and an https URL`,
        {
          code: "INVALID_OPTION",
          context: { option: "files", path: file.path, url: file.url },
        },
      );
    }
  }
  models.set(model.name.toLowerCase(), model);
}

/** The models known by name, those of {@link registerModel} included. */
export function knownModels(): KnownModel[] {
  return [...models.values()];
}

/** Finds a known model by name, alias or package; case does not matter. */
export function findKnownModel(name: string): KnownModel | undefined {
  const wanted = name.toLowerCase();
  const direct = models.get(wanted);
  if (direct !== undefined) return direct;
  return knownModels().find(
    (model) =>
      model.package?.toLowerCase() === wanted ||
      model.aliases?.some((alias) => alias.toLowerCase() === wanted),
  );
}

/** A name that is safe to use as a relative path: `model`, `org/model` or `@scope/model`. */
export function isModelName(name: string): boolean {
  return /^@?[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/.test(name);
}

function isInnerPath(path: string): boolean {
  return typeof path === "string" && path.split("/").every((part) => /^[\w-][\w.-]*$/.test(part));
}

function isDownloadUrl(url: string): boolean {
  if (typeof url !== "string" || !URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return (
    protocol === "https:" || (protocol === "http:" && ["localhost", "127.0.0.1", "[::1]"].includes(hostname))
  );
}

registerModel({
  name: DEFAULT_MODEL,
  aliases: [
    "sentence-transformers/all-MiniLM-L6-v2",
    "Xenova/all-MiniLM-L6-v2",
    "onnx-community/all-MiniLM-L6-v2-ONNX",
    "minilm",
  ],
  package: MINILM_PACKAGE,
  dimensions: 384,
  maxTokens: 256,
  pooling: "mean",
  files: [
    minilmFile(
      "onnx/model_quantized.onnx",
      23429174,
      "dec3eaa61b4044d26d3df1ade2cc93c939619a79726c32247457d75053313765",
    ),
    minilmFile("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    minilmFile(
      "tokenizer_config.json",
      350,
      "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    ),
    minilmFile("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    minilmFile(
      "sentence_bert_config.json",
      54,
      "b3fe7259d878b6c4b30a4d78d0fe1376a07bfbc09377d74b67e7d37d3d5dce56",
    ),
    minilmFile(
      "1_Pooling/config.json",
      191,
      "d3df094e6ed9803b2b9aa3bbbc6816f79492a5bf2a4b058b03168084d48709a7",
    ),
  ],
});
