/** Prints how far a long step is, its rate and the time left, at most every `everySeconds`. */
export class Progress {
  #label;
  #total;
  #every;
  #started = performance.now();
  #printed = performance.now();
  #first;

  /**
   * @param {string} label
   * @param {number} total
   * @param {{ from?: number; everySeconds?: number }} [options] `from`: done before this run
   */
  constructor(label, total, { from = 0, everySeconds = 5 } = {}) {
    this.#label = label;
    this.#total = total;
    this.#first = from;
    this.#every = everySeconds * 1000;
    if (from > 0) console.log(`${label}: going on at ${from} of ${total}`);
  }

  /** @param {number} done */
  report(done) {
    const now = performance.now();
    if (done < this.#total && now - this.#printed < this.#every) return;
    this.#printed = now;
    const rate = (done - this.#first) / ((now - this.#started) / 1000);
    const left = (this.#total - done) / rate;
    const tail = done < this.#total ? `, ${clock(left)} left` : ` in ${clock((now - this.#started) / 1000)}`;
    console.log(`${this.#label}: ${done} of ${this.#total}, ${rate.toFixed(0)}/s${tail}`);
  }
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
