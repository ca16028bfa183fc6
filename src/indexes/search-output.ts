import { types } from "node:util";
import { IndexError } from "../errors.js";
import { describe } from "../options.js";
import { refuseDetached } from "./vectors.js";

/**
 * Checks the arrays that `searchInto` writes.
 *
 * @throws {@link IndexError} `INVALID_ARGUMENT`, `INVALID_K` (empty arrays)
 */
export function checkOutput(ids: Float64Array, distances: Float32Array, where: string): void {
  if (!types.isFloat64Array(ids) || !types.isFloat32Array(distances)) {
    const given = `${describe(ids)} and ${describe(distances)}`;
    throw new IndexError(`${where}: ids must be a Float64Array and distances a Float32Array, not ${given}`, {
      code: "INVALID_ARGUMENT",
    });
  }
  if (ids.length !== distances.length) {
    throw new IndexError(`${where}: ids has ${ids.length} places and distances ${distances.length}`, {
      code: "INVALID_ARGUMENT",
      context: { ids: ids.length, distances: distances.length },
      hint: "Both take one number for each hit.",
    });
  }
  if (ids.length > 0) return;
  refuseDetached(ids, "ids", where);
  throw new IndexError(`${where}: ids has no places; its length is k, which must be at least 1`, {
    code: "INVALID_K",
    context: { k: 0 },
  });
}
