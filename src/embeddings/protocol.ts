import { EmbedError, type ErrorCategory } from "../errors.js";
import type { Pooling } from "./pooling.js";

/** What to do with a text longer than the model takes. */
export type Truncate = "end" | "error" | "average";

/** Where inference runs: an execution provider of onnxruntime. */
export type Device = "cpu" | "cuda" | "dml" | "coreml" | "webgpu";

/** What a worker loads; fixed for its life. */
export interface WorkerModel {
  folder: string;
  onnxFile: string;
  device: Device;
}

/** What a worker starts with. */
export interface WorkerSetup {
  model: WorkerModel;
  /** Cells of its exit gate. */
  gate: Int32Array<SharedArrayBuffer>;
}

/** How one job's texts become vectors; workers serve jobs of different settings. */
export interface EncodeSettings {
  prefix: string;
  maxTokens: number;
  /** `undefined`: mean, unless the model pools by itself. */
  pooling: Pooling | undefined;
  normalize: boolean;
  /** Length to cut to, for Matryoshka models. */
  dimensions: number | undefined;
  truncate: Truncate;
}

/** Main thread to worker. A long text arrives as `part`s ahead of the `embed` that counts it as its first text. */
export type ToWorker =
  | { type: "part"; chunk: number; text: string }
  | { type: "embed"; chunk: number; urgent: boolean; texts: string[]; settings: EncodeSettings }
  | { type: "cancel"; chunk: number }
  | { type: "stop" };

/** Worker to main thread. Every `embed` is answered once, by `done` or `failed`. */
export type FromWorker =
  | { type: "ready" }
  | { type: "unusable"; error: WireError }
  | { type: "done"; chunk: number; vectors: Float32Array }
  | { type: "failed"; chunk: number; text: number; error: WireError };

/** An error as it crosses threads: structured clone would drop its fields. */
export interface WireError {
  message: string;
  code: string;
  category: ErrorCategory;
  context: Record<string, unknown>;
  hint: string | undefined;
  cause: string | undefined;
}

export function toWire(error: unknown, code: string): WireError {
  if (EmbedError.isInstance(error)) {
    const { message, category, context, hint } = error;
    return { message, code: error.code, category, context, hint, cause: textOf(error.cause) };
  }
  const message = textOf(error) ?? "unknown failure";
  return { message, code, category: "permanent", context: {}, hint: undefined, cause: message };
}

export function fromWire(error: WireError): EmbedError {
  const { message, code, category, context, hint, cause } = error;
  return new EmbedError(message, {
    code,
    category,
    context,
    hint,
    cause: cause === undefined ? undefined : new Error(cause),
  });
}

function textOf(error: unknown): string | undefined {
  if (error === undefined || error === null) return undefined;
  return error instanceof Error ? error.message : String(error);
}
