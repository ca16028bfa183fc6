import { createRequire } from "node:module";
import { join } from "node:path";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { EmbedError } from "../errors.js";
import type { ExitGate } from "./exit-gate.js";
import { halfToFloat } from "./pooling.js";
import type { WorkerModel } from "./protocol.js";

type Runtime = typeof import("onnxruntime-node");

/** What the model gave for one text: a vector per token, or one vector when it pools by itself. */
export interface ModelOutput {
  values: Float32Array;
  /** 0 when the model pooled. */
  tokens: number;
  width: number;
}

/** Outputs that hold a vector per token, most specific name first. */
const TOKEN_OUTPUTS = ["last_hidden_state", "token_embeddings"];

/** One ONNX model, run on one text at a time. */
export class OnnxSession {
  readonly #runtime: Runtime;
  readonly #session: InferenceSession;
  readonly #gate: ExitGate;
  readonly #integer: "int64" | "int32";

  private constructor(runtime: Runtime, session: InferenceSession, gate: ExitGate) {
    this.#gate = gate;
    this.#runtime = runtime;
    this.#session = session;
    // Older versions within the peer range have no metadata.
    const metadata = session.inputMetadata as typeof session.inputMetadata | undefined;
    const ids = metadata?.find((input) => input.name === "input_ids");
    this.#integer = ids?.isTensor === true && ids.type === "int32" ? "int32" : "int64";
  }

  /** @throws EmbedError `RUNTIME_NOT_FOUND`, `RUNTIME_UNAVAILABLE`, `DEVICE_UNAVAILABLE`, `MODEL_INVALID` */
  static async load(model: WorkerModel, gate: ExitGate): Promise<OnnxSession> {
    const runtime = await gate.pass(loadRuntime);
    let session: InferenceSession;
    try {
      const options: InferenceSession.SessionOptions = {
        executionProviders: [model.device],
        // Workers are the parallelism; threads inside a worker would only fight over the same cores.
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        executionMode: "sequential",
        // Every length is another shape: patterns would be kept for each of them.
        enableMemPattern: false,
        logSeverityLevel: 3,
        extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
      };
      session = await gate.pass(() => runtime.InferenceSession.create(model.onnxFile, options));
    } catch (cause) {
      const onDevice = model.device !== "cpu";
      throw new EmbedError(`onnxruntime could not load '${model.onnxFile}' for ${model.device}`, {
        code: onDevice ? "DEVICE_UNAVAILABLE" : "MODEL_INVALID",
        category: onDevice ? "infrastructure" : "permanent",
        context: { file: model.onnxFile, device: model.device },
        hint: onDevice
          ? "leave out 'device' to run on the CPU"
          : "the file may be incomplete: install the model again",
        cause,
      });
    }
    const unknown = session.inputNames.filter((name) => !INPUTS.has(name));
    if (!session.inputNames.includes("input_ids") || unknown.length > 0) {
      throw new EmbedError(
        `'${model.onnxFile}' is not a text embedding model: it asks for ${session.inputNames.join(", ")}`,
        { code: "MODEL_INVALID", context: { file: model.onnxFile, inputs: [...session.inputNames] } },
      );
    }
    return new OnnxSession(runtime, session, gate);
  }

  /**
   * @param ids - token ids, special tokens included, at least one
   * @param poolingChosen - whether the caller pools; otherwise an output pooled by the model is preferred
   */
  async run(ids: readonly number[], poolingChosen: boolean): Promise<ModelOutput> {
    const feeds: Record<string, Tensor> = {};
    for (const name of this.#session.inputNames) {
      feeds[name] = this.#tensor(ids.length, INPUTS.get(name)?.(ids) ?? (() => 0));
    }
    const output = this.#outputName(poolingChosen);
    const tensor = (await this.#gate.pass(() => this.#session.run(feeds, [output])))[output] as Tensor;
    const values = toFloats(tensor);
    if (values === undefined || tensor.dims.length < 2 || tensor.dims.length > 3) {
      throw new EmbedError(`the model's output '${output}' is ${tensor.type} [${tensor.dims.join(", ")}]`, {
        code: "MODEL_INVALID",
        context: { output, type: tensor.type, dims: [...tensor.dims] },
        hint: "a text embedding model gives floats [batch, tokens, dimensions] or [batch, dimensions]",
      });
    }
    const width = tensor.dims.at(-1) ?? 0;
    return { values, width, tokens: tensor.dims.length === 3 ? (tensor.dims[1] ?? 0) : 0 };
  }

  #outputName(poolingChosen: boolean): string {
    const names = this.#session.outputNames;
    if (!poolingChosen && names.includes("sentence_embedding")) return "sentence_embedding";
    return TOKEN_OUTPUTS.find((name) => names.includes(name)) ?? names[0] ?? "";
  }

  #tensor(length: number, at: (position: number) => number): Tensor {
    const dims = [1, length];
    if (this.#integer === "int32") {
      return new this.#runtime.Tensor(
        "int32",
        Int32Array.from({ length }, (_, i) => at(i)),
        dims,
      );
    }
    const values = new BigInt64Array(length);
    for (let i = 0; i < length; i++) values[i] = BigInt(at(i));
    return new this.#runtime.Tensor("int64", values, dims);
  }
}

/** The inputs that can be made from token ids alone. */
const INPUTS = new Map<string, (ids: readonly number[]) => (position: number) => number>([
  ["input_ids", (ids) => (position) => ids[position] ?? 0],
  ["attention_mask", () => () => 1],
  ["token_type_ids", () => () => 0],
  ["position_ids", () => (position) => position],
]);

function toFloats(tensor: Tensor): Float32Array | undefined {
  const { data } = tensor;
  if (data instanceof Float32Array) return data;
  if (tensor.type !== "float16") return undefined;
  // Node.js versions with Float16Array get one, the others the raw bits.
  return data instanceof Uint16Array
    ? Float32Array.from(data, halfToFloat)
    : Float32Array.from(data as Iterable<number>);
}

async function loadRuntime(): Promise<Runtime> {
  try {
    return unwrap(await import("onnxruntime-node"));
  } catch (error) {
    if (!isMissing(error)) throw unavailable(error);
  }
  // Linked or global installs: the runtime may be with the project rather than with this package.
  try {
    return unwrap(createRequire(join(process.cwd(), "package.json"))("onnxruntime-node") as Runtime);
  } catch (error) {
    if (!isMissing(error)) throw unavailable(error);
    throw new EmbedError("onnxruntime-node is not installed, and local embeddings run on it", {
      code: "RUNTIME_NOT_FOUND",
      category: "infrastructure",
      context: { package: "onnxruntime-node" },
      hint: "npm i onnxruntime-node",
      cause: error,
    });
  }
}

function unwrap(module: Runtime & { default?: Runtime }): Runtime {
  return module.InferenceSession === undefined && module.default !== undefined ? module.default : module;
}

function isMissing(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return (
    (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") &&
    /['"]onnxruntime-node['"]/.test(String(message))
  );
}

function unavailable(cause: unknown): EmbedError {
  return new EmbedError(
    `onnxruntime-node is installed but does not load on ${process.platform}-${process.arch}`,
    {
      code: "RUNTIME_UNAVAILABLE",
      category: "infrastructure",
      context: { platform: process.platform, arch: process.arch },
      hint: "see which platforms its version ships binaries for",
      cause,
    },
  );
}
