import { types } from "node:util";
import { LakeError } from "../errors.js";
import { refuseDetached, unshared } from "../indexes/vectors.js";
import { describe } from "../options.js";

/** A vector as users may write it. */
export type VectorInput = Float32Array | readonly number[];

/**
 * A vector as the native side takes it.
 *
 * @param name - what the caller calls it, for messages
 * @throws {@link LakeError} `INVALID_ARGUMENT`
 */
export function toVector(vector: VectorInput, name: string, where: string): Float32Array {
  const length = vectorLength(vector, name, where);
  if (types.isFloat32Array(vector)) return unshared(vector);
  const out = new Float32Array(length);
  writeVector(vector, out, name, where);
  return out;
}

/**
 * Numbers in a vector.
 *
 * @throws {@link LakeError} `INVALID_ARGUMENT`
 */
export function vectorLength(vector: VectorInput, name: string, where: string): number {
  if (types.isFloat32Array(vector)) {
    if (vector.length === 0) refuseDetached(vector, name, where);
  } else if (!Array.isArray(vector)) {
    throw new LakeError(
      `${where}: ${name} must be a Float32Array or an array of numbers, not ${describe(vector)}`,
      {
        code: "INVALID_ARGUMENT",
        context: { argument: name, expected: "Float32Array | number[]" },
        hint: ArrayBuffer.isView(vector) ? `Convert it with Float32Array.from(${name}).` : undefined,
      },
    );
  }
  return vector.length;
}

/**
 * Copies a vector to `out`, which has its length.
 *
 * @throws {@link LakeError} `INVALID_ARGUMENT`
 */
export function writeVector(vector: VectorInput, out: Float32Array, name: string, where: string): void {
  if (types.isFloat32Array(vector)) {
    out.set(vector);
    return;
  }
  for (let i = 0; i < out.length; i++) {
    const number: unknown = vector[i];
    if (typeof number !== "number") {
      throw new LakeError(`${where}: ${name}[${i}] must be a number, not ${describe(number)}`, {
        code: "INVALID_ARGUMENT",
        context: { argument: name, position: i },
      });
    }
    out[i] = number;
  }
}

/** @throws {@link LakeError} `DIMENSION_MISMATCH` if the length is not the collection's, as far as that is known */
export function checkDimensions(
  vector: Float32Array,
  expected: number | undefined,
  name: string,
  where: string,
): void {
  if (vector.length === expected || (expected === undefined && vector.length > 0)) return;
  throw new LakeError(`${where}: ${name} must hold ${expected ?? "some"} numbers, got ${vector.length}`, {
    code: "DIMENSION_MISMATCH",
    context: { argument: name, expected, got: vector.length },
    hint: "Vectors of one collection all come from one embedding model.",
  });
}
