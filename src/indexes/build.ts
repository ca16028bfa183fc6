import type { NativeIndex } from "../../native/binding.js";
import { IndexError } from "../errors.js";
import { native } from "../native.js";
import {
  type BuildOptions,
  checkLoadOptions,
  type IndexKind,
  type LoadOptions,
  type RabitqIvfBuildOptions,
  toParameters,
} from "./build-options.js";
import { callNative } from "./failure.js";
import { toFilePath } from "./file-path.js";
import { checkIdCount } from "./ids.js";
import { copyInput } from "./input.js";
import { runJob } from "./job.js";
import { countRows } from "./vectors.js";

/** Builds the native part of an index. */
export async function buildNative(
  kind: IndexKind,
  vectors: Float32Array,
  options: BuildOptions | RabitqIvfBuildOptions,
): Promise<NativeIndex> {
  const where = `${kind}.build`;
  const parameters = toParameters(kind, options, where);
  callNative(where, () => native().checkParameters(parameters));
  const { ids } = options;
  const { dimensions } = parameters;
  const rows = countRows(vectors, dimensions, "vectors", where);
  if (ids !== undefined) checkIdCount(ids, rows, where);
  return runJob(
    where,
    options,
    (steps) => copyInput({ vectors, ids, dimensions }, where, steps),
    (input, control) => native().buildIndex(input, ids !== undefined, parameters, control),
  );
}

/** Opens the native part of an index, whatever its kind. */
export function openNative(
  path: string | URL,
  options: LoadOptions | undefined,
  where: string,
): Promise<NativeIndex> {
  const checked = checkLoadOptions(options, where);
  const file = toFilePath(path, where);
  return runJob(
    where,
    checked,
    () => undefined,
    (_, control) => native().openIndex(file, checked.verify, control),
  );
}

/**
 * Opens the native part of an index of one kind.
 *
 * @throws {@link IndexError} `INDEX_KIND_MISMATCH`
 */
export async function openNativeKind(
  kind: IndexKind,
  path: string | URL,
  options: LoadOptions | undefined,
): Promise<NativeIndex> {
  const where = `${kind}.load`;
  const index = await openNative(path, options, where);
  const { kind: found } = callNative(where, () => index.info());
  if (found === kind) return index;
  callNative(where, () => index.close());
  throw new IndexError(`${where}: ${String(path)} holds a ${found}`, {
    code: "INDEX_KIND_MISMATCH",
    context: { path: String(path), expected: kind, got: found },
    hint: `Use ${found}.load(path), or loadIndex(path) for whatever a file holds.`,
  });
}
