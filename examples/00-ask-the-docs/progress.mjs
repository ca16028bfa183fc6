// How far a long step is: one line that renews itself in a terminal, now and then a line elsewhere.

const WIDTH = 24;
/** Between two lines where nothing can be renewed. */
const SPARSE_MS = 10_000;

/** Progress of one step, written to `stream`. */
export class Progress {
  #stream;
  #label;
  #started = performance.now();
  #written = this.#started;
  #shown = false;
  #told = false;

  /** @param {NodeJS.WriteStream} stream @param {string} label */
  constructor(stream, label) {
    this.#stream = stream;
    this.#label = label;
  }

  /** Says how far it is; the time starts with the first call. */
  update(/** @type {number} */ done, /** @type {number} */ total) {
    const now = performance.now();
    if (done === 0) this.#started = now;
    const seconds = (now - this.#started) / 1000;
    // The first texts wait for the model to load.
    const hasRate = done > 0 && seconds >= 0.5;
    const numbers = hasRate ? withRate(done, total, seconds) : counts(done, total);
    if (this.#stream.isTTY) {
      const filled = Math.round((done / total) * WIDTH);
      const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
      const line = `${this.#label}  ${bar}  ${numbers}`;
      this.#stream.write(`\r${line.slice(0, (this.#stream.columns || 80) - 1)}\x1b[K`);
    } else if (!this.#shown || (!this.#told && hasRate) || now - this.#written >= SPARSE_MS) {
      this.#stream.write(`${this.#label}  ${numbers}\n`);
      this.#written = now;
      this.#told = hasRate;
    }
    this.#shown = true;
  }

  /** Leaves an empty line to go on with. */
  end() {
    if (this.#shown && this.#stream.isTTY) this.#stream.write("\r\x1b[K");
  }
}

function counts(/** @type {number} */ done, /** @type {number} */ total) {
  return `${integer(done)} of ${integer(total)}`;
}

function withRate(/** @type {number} */ done, /** @type {number} */ total, /** @type {number} */ seconds) {
  const rate = done / seconds;
  return `${counts(done, total)}  ${rate.toFixed(0)}/s  ${duration((total - done) / rate)} left`;
}

/** 12345 as "12,345". */
export function integer(/** @type {number} */ value) {
  return value.toLocaleString("en-US");
}

/** Seconds as people say them. */
export function duration(/** @type {number} */ seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
