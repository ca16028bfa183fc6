import type { IdBatch } from "../../native/binding.js";
import { native } from "../native.js";
import { describe } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { invalidArgument, lakeCallNow } from "./native-call.js";

/** Ids handed to the native side in one turn of the event loop. */
const ID_PIECE = 4096;

/** Hands ids to the native side, in pieces that do not hold up the event loop. */
export async function copyIds(ids: readonly string[], where: string): Promise<IdBatch> {
  if (!Array.isArray(ids)) {
    const hint = typeof ids === "string" ? "Write [id]." : undefined;
    throw invalidArgument(where, "ids", "an array of strings", describe(ids), hint);
  }
  const batch = lakeCallNow(where, () => new (native().IdBatch)());
  for (let start = 0; start < ids.length; start += ID_PIECE) {
    if (isTurnOver()) await nextTurn();
    const piece: unknown[] = ids.slice(start, start + ID_PIECE);
    const wrong = piece.findIndex((id) => typeof id !== "string");
    if (wrong >= 0) {
      throw invalidArgument(where, `ids[${start + wrong}]`, "a string", describe(piece[wrong]));
    }
    lakeCallNow(where, () => batch.push(piece as string[]));
  }
  return batch;
}
