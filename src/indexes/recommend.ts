import { IndexError } from "../errors.js";
import { native } from "../native.js";
import { describe, invalidOption } from "../options.js";
import { checkDimensions, type IndexKind, type RabitqIvfBuildOptions } from "./build-options.js";
import { callNative } from "./failure.js";

/** Short names of the index classes. */
export type IndexName = "flat" | "rabitq" | "rabitq-plus" | "rabitq-asym" | "rabitq-ivf";

/** Which index to build, and what to expect of it. */
export interface Recommendation {
  /** The index, by its short name. */
  index: IndexName;
  /** The index, by its class name. */
  kind: IndexKind;
  /** What to pass to its `build`. */
  options: Pick<RabitqIvfBuildOptions, "dimensions" | "bits">;
  /** One sentence of reasons. */
  why: string;
  /** Measured on text embeddings; other data may differ. */
  expected: {
    /** Share of the true 10 nearest rows among the 10 found. */
    recall: number;
    /** Bytes of the whole index, on the heap or mapped. */
    memoryBytes: number;
  };
}

const names: Readonly<Record<IndexKind, IndexName>> = {
  FlatF32Index: "flat",
  RabitqIndex: "rabitq",
  RabitqPlusIndex: "rabitq-plus",
  RabitqAsymIndex: "rabitq-asym",
  RabitqIvfIndex: "rabitq-ivf",
};

/**
 * Recommends an index.
 *
 * @param n - rows, now or soon
 * @param dimensions - numbers in a vector, 1 to 8192
 * @param recallTarget - recall@10 wanted, above 0 and at most 1. Default 0.99
 * @throws {@link IndexError} `INVALID_ARGUMENT`
 * @throws {@link ConfigError} `INVALID_DIMENSIONS`, `INVALID_OPTION`
 *
 * @example
 * ```ts
 * const { index, why, expected } = recommend(1_000_000, 384, 0.99);
 * console.log(index, why, expected.memoryBytes);
 * ```
 */
export function recommend(n: number, dimensions: number, recallTarget = 0.99): Recommendation {
  const where = "recommend";
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new IndexError(`${where}: n must be a whole number from 0, not ${describe(n)}`, {
      code: "INVALID_ARGUMENT",
      context: { argument: "n" },
    });
  }
  checkDimensions(dimensions, where);
  if (!(typeof recallTarget === "number" && recallTarget > 0 && recallTarget <= 1)) {
    throw invalidOption(where, "recallTarget", "a number above 0 and at most 1", recallTarget);
  }
  const advice = callNative(where, () => native().advise(n, dimensions, recallTarget));
  const kind = advice.kind as IndexKind;
  const bits = advice.bits as RabitqIvfBuildOptions["bits"];
  return {
    index: names[kind],
    kind,
    options: bits === undefined ? { dimensions } : { dimensions, bits },
    why: advice.why,
    expected: { recall: advice.recall, memoryBytes: advice.memoryBytes },
  };
}
