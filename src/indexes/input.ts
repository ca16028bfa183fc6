import { types } from "node:util";
import type { InputBuffer } from "../../native/binding.js";
import { IndexError } from "../errors.js";
import { native } from "../native.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { callNative, fromNative } from "./failure.js";
import { countIds, type IdFilter, isId, toId } from "./ids.js";
import type { JobSteps } from "./job.js";
import { unshared } from "./vectors.js";

/** Numbers copied in one turn of the event loop: 1 MiB, well under a millisecond with its page faults. */
const vectorPiece = 1 << 18;

/** Numbers for which memory is found ahead of the copy: 16 MiB. */
const roomAhead = 1 << 22;

/** Ids checked and copied in one turn of the event loop. */
const idPiece = 1 << 15;

const idScratch = new Float64Array(idPiece);

/** What a native call takes in bulk. */
export interface Input {
  /** Row-major matrix. */
  vectors?: Float32Array;
  /** Numbers in a row of it; only for progress. */
  dimensions?: number;
  /** Ids of its rows, or of a filter. */
  ids?: IdFilter | undefined;
  /** What the caller calls the ids, for messages. */
  idsName?: string;
}

/** Ids that are checked and copied in some ten microseconds. */
const fewIds = 1 << 10;

/**
 * Copies vectors and ids for one native call. Short lists of ids, and vectors that fit a piece, are copied before this
 * function first yields.
 *
 * @throws {@link IndexError} `INVALID_ID`, `INVALID_ARGUMENT` (the input shrank meanwhile), `OUT_OF_MEMORY`, and what
 * `steps` throws
 */
export async function copyInput(input: Input, where: string, steps?: JobSteps): Promise<InputBuffer> {
  const { vectors, ids, idsName = "ids", dimensions = 1 } = input;
  const idCount = ids === undefined ? 0 : countIds(ids, idsName, where);
  const numbers = vectors?.length ?? 0;
  const buffer = callNative(where, () => new (native().InputBuffer)(numbers, idCount));
  // Ids first: an invalid one is found before the larger part is copied.
  if (ids !== undefined) {
    if (idCount > fewIds && isTurnOver()) await nextTurn();
    for (const next of idPieces(ids, idCount, idsName, where)) {
      callNative(where, () => buffer.appendIds(next));
      if (next.length === idPiece) {
        await nextTurn();
        steps?.step({ phase: "copy", done: 0, total: numbers / dimensions });
      }
    }
  }
  if (vectors !== undefined) await copyVectors(buffer, vectors, dimensions, where, steps);
  return buffer;
}

/** Copies ids at once, on this turn of the event loop. */
export function copyIdsNow(ids: IdFilter, name: string, where: string): InputBuffer {
  const count = countIds(ids, name, where);
  const buffer = callNative(where, () => new (native().InputBuffer)(0, count));
  for (const piece of idPieces(ids, count, name, where)) callNative(where, () => buffer.appendIds(piece));
  return buffer;
}

async function copyVectors(
  buffer: InputBuffer,
  vectors: Float32Array,
  dimensions: number,
  where: string,
  steps: JobSteps | undefined,
): Promise<void> {
  const { length } = vectors;
  let room = 0;
  // Below that, another thread costs more than it saves.
  let more = length > roomAhead ? makeRoom(buffer, 0, where) : undefined;
  for (let start = 0; start < length; start += vectorPiece) {
    if (start > 0) {
      if (start >= room) {
        await more;
        room += roomAhead;
        more = room < length ? makeRoom(buffer, room, where) : undefined;
      }
      await nextTurn();
      steps?.step({ phase: "copy", done: Math.floor(start / dimensions), total: length / dimensions });
      if (vectors.length !== length) throw changed(where, "vectors");
    }
    const piece = unshared(vectors.subarray(start, start + vectorPiece));
    callNative(where, () => buffer.appendVectors(piece));
  }
  steps?.step({ phase: "copy", done: length / dimensions, total: length / dimensions });
}

/** Finds memory for the numbers from `from` on. */
async function makeRoom(buffer: InputBuffer, from: number, where: string): Promise<void> {
  try {
    await buffer.makeRoom(from, from + roomAhead);
  } catch (error) {
    throw fromNative(error, where);
  }
}

/** Checked ids in views of one scratch array, each to be used before the next is asked for. */
function* idPieces(ids: IdFilter, count: number, name: string, where: string): Generator<Float64Array> {
  // A set may hold anything at runtime; an array is read by position, so that one that shrinks is noticed.
  const values = types.isSet(ids) ? ids.values() : undefined;
  const list = ids as Exclude<IdFilter, ReadonlySet<number>>;
  let filled = 0;
  for (let i = 0; i < count; i++) {
    const id = values === undefined ? list[i] : (values.next().value as number | undefined);
    if (id === undefined && values === undefined && list.length !== count) throw changed(where, name);
    idScratch[filled++] = isId(id) ? id : toId(id as number | bigint, `${name}[${i}]`, where);
    if (filled === idPiece || i === count - 1) {
      yield idScratch.subarray(0, filled);
      filled = 0;
    }
  }
}

function changed(where: string, name: string): IndexError {
  return new IndexError(`${where}: ${name} changed their length during the call`, {
    code: "INVALID_ARGUMENT",
    context: { argument: name },
    hint: "Leave the arrays alone until the promise settles.",
  });
}
