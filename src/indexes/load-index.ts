import { openNative } from "./build.js";
import type { IndexKind, LoadOptions } from "./build-options.js";
import { callNative } from "./failure.js";
import { FlatF32Index } from "./flat-f32-index.js";
import { RabitqAsymIndex } from "./rabitq-asym-index.js";
import { RabitqIndex } from "./rabitq-index.js";
import { RabitqIvfIndex } from "./rabitq-ivf-index.js";
import { RabitqPlusIndex } from "./rabitq-plus-index.js";
import type { VectorIndex } from "./vector-index.js";

const classes = { FlatF32Index, RabitqIndex, RabitqPlusIndex, RabitqAsymIndex, RabitqIvfIndex };

/**
 * Opens a saved index of any kind; its class follows from the file.
 *
 * @throws {@link IndexError} `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`
 */
export async function loadIndex(path: string | URL, options?: LoadOptions): Promise<VectorIndex> {
  const where = "loadIndex";
  const handle = await openNative(path, options, where);
  const { kind } = callNative(where, () => handle.info());
  return classes[kind as IndexKind].wrap(handle);
}
