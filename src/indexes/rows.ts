import type { RowCursor } from "../../native/binding.js";
import { callNative } from "./failure.js";

/** Numbers read from the native side at a time. */
const chunkNumbers = 1 << 16;

/** The rows of a cursor, each with a vector of its own. */
export function* readRows(
  cursor: RowCursor,
  dimensions: number,
  where: string,
): Generator<[id: number, vector: Float32Array], undefined, undefined> {
  const capacity = Math.max(1, Math.floor(chunkNumbers / dimensions));
  const ids = new Float64Array(capacity);
  const vectors = new Float32Array(capacity * dimensions);
  for (;;) {
    const count = callNative(where, () => cursor.next(ids, vectors));
    if (count === 0) return;
    for (let i = 0; i < count; i++) {
      yield [ids[i] as number, vectors.slice(i * dimensions, (i + 1) * dimensions)];
    }
  }
}
