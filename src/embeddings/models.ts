import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { EmbedError } from "../errors.js";
import { didYouMean } from "../options.js";
import { type Dtype, dtypesOf, isModelFolder, type ModelFolder, readModelFolder } from "./model-folder.js";
import { findKnownModel, isModelName, type KnownModel, knownModels } from "./model-registry.js";

/** Where a model was found. `hub`: it will be downloaded before its first use. */
export type ModelSource = "folder" | "package" | "cache" | "hub";

/** A model and the place of its files. */
export interface LocatedModel {
  /** Its known name, or what the caller passed. */
  name: string;
  source: ModelSource;
  /** The folder of its files; for `hub`, the folder the download will make. */
  folder: string;
  known: KnownModel | undefined;
}

/** Directory of downloaded models: `RULAKE_MODEL_CACHE`, else `~/.cache/rulake/models`. */
export function modelCacheDirectory(): string {
  const set = process.env.RULAKE_MODEL_CACHE;
  return set !== undefined && set !== "" ? resolve(set) : join(homedir(), ".cache", "rulake", "models");
}

/**
 * Finds a model: a folder, else an installed package, else the cache directory, else a known download.
 * Only looks at the file system.
 *
 * @throws EmbedError `MODEL_NOT_FOUND`, saying what to install or which name was meant
 */
export function locateModel(model: string): LocatedModel {
  const known = findKnownModel(model);
  const name = known?.name ?? model;
  const looked: string[] = [];

  const path = resolve(model);
  const isPath = isAbsolute(model) || /^\.{1,2}([\\/]|$)/.test(model) || !isModelName(model);
  looked.push(path);
  if (isDirectory(path) && (isPath || isModelFolder(path)))
    return { name, source: "folder", folder: path, known };
  if (isPath) throw notFound(model, known, looked);

  for (const packageName of new Set([known?.package, model])) {
    if (packageName === undefined) continue;
    looked.push(`package ${packageName}`);
    const folder = packageFolder(packageName);
    if (folder !== undefined) return { name, source: "package", folder, known };
  }

  const cached = join(modelCacheDirectory(), ...name.split("/"));
  looked.push(cached);
  if (isModelFolder(cached)) return { name, source: "cache", folder: cached, known };

  if (known?.files !== undefined && known.files.length > 0) {
    if (process.env.RULAKE_OFFLINE === undefined || process.env.RULAKE_OFFLINE === "") {
      return { name, source: "hub", folder: cached, known };
    }
    looked.push("no download: RULAKE_OFFLINE is set");
  }
  throw notFound(model, known, looked);
}

/**
 * What is known of a located model: its folder's files, completed by the registry. A model that is still to be
 * downloaded is described by the registry alone.
 *
 * @throws EmbedError `MODEL_INVALID`, `DTYPE_NOT_FOUND`
 */
export function describeModel(model: LocatedModel, dtype?: Dtype): ModelFolder {
  const { known } = model;
  if (model.source !== "hub") {
    const folder = readModelFolder(model.folder, dtype);
    return {
      ...folder,
      dimensions: folder.dimensions ?? known?.dimensions,
      maxTokens: Math.min(folder.maxTokens, known?.maxTokens ?? Number.POSITIVE_INFINITY),
      pooling: folder.pooling ?? known?.pooling,
      prefixes: {
        query: known?.prefixes?.query ?? folder.prefixes.query,
        document: known?.prefixes?.document ?? folder.prefixes.document,
      },
    };
  }
  const planned = plannedFiles(model);
  const chosen = dtype ?? planned.keys().next().value;
  const onnxFile = chosen === undefined ? undefined : planned.get(chosen);
  if (known === undefined || chosen === undefined || onnxFile === undefined) {
    throw new EmbedError(`the model '${model.name}' is not offered as ${dtype ?? "ONNX"}`, {
      code: "DTYPE_NOT_FOUND",
      context: { model: model.name, dtype, available: [...planned.keys()] },
    });
  }
  return {
    folder: model.folder,
    dtype: chosen,
    onnxFile: join(model.folder, ...onnxFile.split("/")),
    dimensions: known.dimensions,
    maxTokens: known.maxTokens,
    positions: known.maxTokens,
    pooling: known.pooling,
    prefixes: { query: known.prefixes?.query ?? "", document: known.prefixes?.document ?? "" },
  };
}

function plannedFiles(model: LocatedModel): Map<Dtype, string> {
  const paths = (model.known?.files ?? []).map((file) => file.path);
  const byDtype: [Dtype, string][] = [
    ["fp32", "onnx/model.onnx"],
    ["int8", "onnx/model_quantized.onnx"],
    ["fp16", "onnx/model_fp16.onnx"],
  ];
  return new Map(byDtype.filter(([, path]) => paths.includes(path)));
}

function packageFolder(name: string): string | undefined {
  // The project's own packages first, then those beside this package (pnpm keeps the two apart).
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    const require = createRequire(from);
    const candidates: string[] = [];
    try {
      candidates.push(dirname(require.resolve(`${name}/package.json`)));
    } catch {
      // Not there, or its "exports" hide package.json: look beside the usual folders.
      for (const place of require.resolve.paths(name) ?? []) candidates.push(join(place, ...name.split("/")));
    }
    const found = candidates.find((folder) => isModelFolder(folder));
    if (found !== undefined) return found;
  }
  return undefined;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function notFound(model: string, known: KnownModel | undefined, looked: string[]): EmbedError {
  const names = knownModels().flatMap((entry) =>
    [entry.name, ...(entry.aliases ?? []), entry.package ?? []].flat(),
  );
  const meant = known === undefined ? didYouMean(model, [...names, ...cachedModels()]) : undefined;
  const install = known?.package ?? "@rulake/all-minilm-l6-v2";
  const message = `no embedding model '${model}'${meant === undefined ? "" : `; did you mean '${meant}'?`}`;
  const hint =
    known === undefined
      ? `pass a folder with tokenizer.json and onnx/, or a name (${knownModels()
          .map((entry) => entry.name)
          .join(", ")}), or install a model package: npm i ${install}`
      : `npm i ${install}`;
  return new EmbedError(message, {
    code: "MODEL_NOT_FOUND",
    context: { model, looked, ...(meant === undefined ? {} : { didYouMean: meant }) },
    hint,
  });
}

function cachedModels(): string[] {
  const directory = modelCacheDirectory();
  if (!existsSync(directory)) return [];
  return readdirSync(directory).filter((name) => dtypesOf(join(directory, name)).length > 0);
}
