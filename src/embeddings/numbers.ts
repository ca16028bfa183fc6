import { nextTurn } from "../turns.js";

/** Vectors converted in one turn of the event loop. */
const TURN = 256;

/** The plain arrays that frameworks want, made without holding up the event loop. */
export async function toNumbers(vectors: readonly Float32Array[]): Promise<number[][]> {
  const numbers: number[][] = [];
  for (const vector of vectors) {
    numbers.push(Array.from(vector));
    if (numbers.length % TURN === 0) await nextTurn();
  }
  return numbers;
}
