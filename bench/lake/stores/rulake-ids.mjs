import { createWith } from "./rulake.mjs";

/** A collection that is asked for ids only, as an index is. @returns {import("../request.mjs").Store} */
export function createStore() {
  return createWith([]);
}
