import { readFileSync, writeFileSync } from "node:fs";

/** How many tests (or checks) passed and failed. What could not run at all counts as failed. */
export class Tally {
  passed = 0;
  failed = 0;
  /** What failed, a line or a few for each, where the tool tells. @type {string[]} */
  failures = [];

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
  tally.failures = [...output.matchAll(/^test (.+) \.\.\. FAILED$/gm)].map(([, name]) => `${name}`);
  const complete = ok && (mayBeEmpty || tally.passed > 0);
  if (!complete && tally.failed === 0) tally.failed = 1;
  return tally;
}

/** How many lines of a failure's message and stack stand beside the test's name. */
const SHOWN_LINES = 8;

/**
 * Reads vitest's JSON report. A file that does not load, an unhandled error or a missing report counts as a failure.
 *
 * @param {string} report
 * @param {boolean} ok
 */
export function tallyVitest(report, ok) {
  const tally = new Tally();
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
    tally.add({ passed: numPassedTests, failed: numFailedTests });
    for (const { status, name, message, assertionResults } of testResults) {
      const failed = assertionResults.filter(
        (/** @type {{ status: string }} */ test) => test.status === "failed",
      );
      tally.failures.push(
        ...failed.map((/** @type {{ fullName: string; failureMessages: string[] }} */ test) =>
          failure(`${name} > ${test.fullName}`, test.failureMessages.join("\n")),
        ),
      );
      if (status !== "failed" || assertionResults.length > 0) continue;
      tally.failed++;
      tally.failures.push(failure(name, message));
    }
  } catch {
    tally.failed = 1;
  }
  if (!ok && tally.failed === 0) tally.failed = 1;
  return tally;
}

/** @param {string} name @param {string} [message] */
function failure(name, message = "") {
  const lines = message.split("\n").slice(0, SHOWN_LINES);
  return [name, ...lines.map((line) => `  ${line.trim()}`)].join("\n").trimEnd();
}
