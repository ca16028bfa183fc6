// What the writer of a test does and what its readers may see. Round r replaces, or now and then deletes, the records of
// batch r modulo BATCHES, all at once. The state after a round is a function of its number.
import { closeSync, openSync, readSync, writeSync } from "node:fs";

export const BATCHES = 4;
export const SIZE = 16;
export const DIMENSIONS = 8;

/** Whether a round deletes its batch. */
export const deletes = (/** @type {number} */ round) => round % 7 === 5;

export const idOf = (/** @type {number} */ batch, /** @type {number} */ i) => `${batch}-${i}`;

export const vectorOf = (/** @type {number} */ round, /** @type {number} */ i) =>
  Float32Array.from({ length: DIMENSIONS }, (_, d) => Math.sin(round * 31 + i * 7 + d * 3) + 0.01);

/**
 * The round whose records a batch holds after another round; undefined for none.
 *
 * @param {number} batch @param {number} round
 */
export function roundOfBatch(batch, round) {
  const last = round - ((((round - batch) % BATCHES) + BATCHES) % BATCHES);
  return last < 0 || deletes(last) ? undefined : last;
}

/** Two numbers that one process writes and others read: the newest round begun, the newest acknowledged. */
export class Progress {
  #file;
  #numbers = new Float64Array(1);

  /** @param {string} path @param {"w" | "r"} mode */
  constructor(path, mode) {
    this.#file = openSync(path, mode);
    if (mode === "w") {
      this.begun = -1;
      this.acknowledged = -1;
    }
  }

  get begun() {
    return this.#read(0);
  }

  set begun(round) {
    this.#write(0, round);
  }

  get acknowledged() {
    return this.#read(8);
  }

  set acknowledged(round) {
    this.#write(8, round);
  }

  close() {
    closeSync(this.#file);
  }

  /** @param {number} at */
  #read(at) {
    readSync(this.#file, this.#numbers, 0, 8, at);
    return this.#numbers[0] ?? -1;
  }

  /** @param {number} at @param {number} value */
  #write(at, value) {
    this.#numbers[0] = value;
    writeSync(this.#file, this.#numbers, 0, 8, at);
  }
}
