import { nextTurn } from "../../turns.js";
import { JsonScan, parseScanned } from "../http/json-scan.js";

/**
 * Most objects, lists and further values of a card or a key set: four times a card with a hundred skills. Bytes alone do
 * not tell what a card costs: in the space of a long text there is room for a hundred thousand empty lists.
 */
const MOST_VALUES = 6_000;

/** Bytes that are looked through between two turns of the event loop. */
const SLICE_BYTES = 32 * 1024;

/**
 * JSON of a stranger's card or key set.
 *
 * @throws {@link A2AError} `JSON_REFUSED` when it is too deep, has too many values or a key `__proto__`, or is no JSON
 */
export async function readCardJson(bytes: Uint8Array, maxDepth: number): Promise<unknown> {
  const scan = new JsonScan(maxDepth, false, MOST_VALUES);
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    scan.push(bytes.subarray(at, at + SLICE_BYTES));
    await nextTurn();
  }
  const value = parseScanned(bytes);
  await nextTurn();
  return value;
}
