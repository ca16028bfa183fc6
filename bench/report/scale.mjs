/**
 * A logarithmic axis over some values, with ticks at 1, 2 and 5 times the powers of ten.
 *
 * @param {number[]} values
 * @param {number} first pixel of the lowest
 * @param {number} last pixel of the highest
 */
export function logScale(values, first, last) {
  const [from, to] = [Math.log10(Math.min(...values)) - 0.1, Math.log10(Math.max(...values)) + 0.1];
  const digits = to - from > 3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(from); power <= to; power++) {
    for (const digit of digits) {
      // 2e-1 rather than 2 * 10 ** -1, which is 0.2 with an error.
      const tick = Number(`${digit}e${power}`);
      if (Math.log10(tick) >= from && Math.log10(tick) <= to) ticks.push(tick);
    }
  }
  return {
    ticks,
    place: (/** @type {number} */ value) =>
      first + ((Math.log10(value) - from) / (to - from)) * (last - first),
  };
}
