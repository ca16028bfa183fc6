import { closeSync, fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import { endianness } from "node:os";

if (endianness() !== "LE") throw new Error("The matrix files are little-endian, and so must be the machine.");

/** One read call takes no more than 2 GiB. */
const PIECE = 1 << 30;

/**
 * Reads a file of raw little-endian `f32`. Shared memory lets worker threads use the same copy.
 *
 * @param {string} file
 * @param {{ shared?: boolean; first?: number }} [options] `first`: read only so many numbers
 */
export function readFloats(file, options = {}) {
  return new Float32Array(readBytes(file, options));
}

/**
 * Reads a file of raw little-endian `i32`.
 *
 * @param {string} file
 */
export function readInts(file) {
  return new Int32Array(readBytes(file, {}));
}

/**
 * @param {string} file
 * @param {{ shared?: boolean; first?: number }} options
 */
function readBytes(file, { shared = false, first = Number.POSITIVE_INFINITY }) {
  const handle = openSync(file, "r");
  try {
    const length = Math.min(fstatSync(handle).size, first * 4);
    const buffer = shared ? new SharedArrayBuffer(length) : new ArrayBuffer(length);
    const bytes = new Uint8Array(buffer);
    for (let at = 0; at < length; ) {
      const read = readSync(handle, bytes, at, Math.min(PIECE, length - at), at);
      if (read === 0) throw new Error(`${file} ended early`);
      at += read;
    }
    return buffer;
  } finally {
    closeSync(handle);
  }
}

/**
 * Writes numbers as they are in memory.
 *
 * @param {string} file
 * @param {Float32Array | Int32Array} numbers
 */
export function writeNumbers(file, numbers) {
  writeFileSync(file, new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
}
