import { readFileSync, writeFileSync } from "node:fs";

/** How many tests (or checks) passed and failed. What could not run at all counts as failed. */
export class Tally {
  passed = 0;
  failed = 0;

  add(/** @type {{ passed: number; failed: number }} */ other) {
    this.passed += other.passed;
    this.failed += other.failed;
  }

  toString() {
    return `${this.passed} passed, ${this.failed} failed`;
  }

  /** Writes `<passed> <failed>` to the file that RULAKE_TALLY names, for `.ci/run` to add up, and sets the exit code. */
  finish() {
    if (process.env.RULAKE_TALLY) writeFileSync(process.env.RULAKE_TALLY, `${this.passed} ${this.failed}\n`);
    if (this.failed > 0) process.exitCode = 1;
  }
}

/**
 * Adds up the `test result:` lines of `cargo test`. A crate that does not compile and a test binary that dies print
 * none, so a failing exit code counts as at least one failure. So does a run without a single test, unless it
 * `mayBeEmpty`.
 *
 * @param {string} output
 * @param {boolean} ok
 * @param {{ mayBeEmpty?: boolean }} [options]
 */
export function tallyCargo(output, ok, { mayBeEmpty = false } = {}) {
  const tally = new Tally();
  for (const [, passed, failed] of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed;/gm)) {
    tally.add({ passed: Number(passed), failed: Number(failed) });
  }
  const complete = ok && (mayBeEmpty || tally.passed > 0);
  if (!complete && tally.failed === 0) tally.failed = 1;
  return tally;
}

/** Reads vitest's JSON report. A file that does not load, an unhandled error or a missing report counts as a failure. */
export function tallyVitest(/** @type {string} */ report, /** @type {boolean} */ ok) {
  const tally = new Tally();
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
    const unloaded = testResults.filter(
      (/** @type {{ status: string; assertionResults: unknown[] }} */ file) =>
        file.status === "failed" && file.assertionResults.length === 0,
    );
    tally.add({ passed: numPassedTests, failed: numFailedTests + unloaded.length });
  } catch {
    tally.failed = 1;
  }
  if (!ok && tally.failed === 0) tally.failed = 1;
  return tally;
}
