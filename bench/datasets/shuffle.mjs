/**
 * Numbers in [0, 1) that are the same everywhere for a seed (mulberry32).
 *
 * @param {number} seed
 */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The numbers 0 to `length` - 1 in a random order that depends on the seed alone (Fisher-Yates).
 *
 * @param {number} length
 * @param {number} seed
 */
export function permutation(length, seed) {
  const order = Int32Array.from({ length }, (_, at) => at);
  const next = random(seed);
  for (let at = length - 1; at > 0; at--) {
    const other = Math.floor(next() * (at + 1));
    const moved = /** @type {number} */ (order[at]);
    order[at] = /** @type {number} */ (order[other]);
    order[other] = moved;
  }
  return order;
}
