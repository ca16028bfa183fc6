import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tallyCargo, tallyVitest } from "../../scripts/tally.mjs";

describe("counting cargo tests", () => {
  const summary = (passed: number, failed: number) =>
    `test result: ${failed ? "FAILED" : "ok"}. ${passed} passed; ${failed} failed; 1 ignored; 0 measured; 0 filtered out\n`;

  it("adds up every test binary", () => {
    expect(`${tallyCargo(summary(3, 0) + summary(4, 2), false)}`).toBe("7 passed, 2 failed");
  });

  it("counts a crate that does not compile", () => {
    expect(`${tallyCargo("error[E0425]: cannot find value", false)}`).toBe("0 passed, 1 failed");
  });

  it("counts a test binary that dies between two that finish", () => {
    expect(`${tallyCargo(`${summary(3, 0)}(signal: 11, SIGSEGV)\n${summary(4, 0)}`, false)}`).toBe(
      "7 passed, 1 failed",
    );
  });

  it("names the tests that failed", () => {
    const output = `test a::good ... ok\ntest a::bad ... FAILED\n${summary(1, 1)}`;
    expect(tallyCargo(output, false).failures).toEqual(["a::bad"]);
  });

  it("counts a run without tests as failed", () => {
    expect(`${tallyCargo("", true)}`).toBe("0 passed, 1 failed");
  });
});

describe("counting vitest tests", () => {
  let dir: string;
  const report = (content: unknown) => {
    const file = path.join(dir, "report.json");
    writeFileSync(file, JSON.stringify(content));
    return file;
  };

  beforeAll(() => {
    dir = mkdtempSync(path.join(tmpdir(), "rulake-tally-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("reads passed and failed tests", () => {
    const file = report({ numPassedTests: 5, numFailedTests: 1, testResults: [] });
    expect(`${tallyVitest(file, false)}`).toBe("5 passed, 1 failed");
  });

  it("counts a file that does not load", () => {
    const testResults = [
      { status: "failed", name: "a.test.ts", message: "no such module", assertionResults: [] },
    ];
    const tally = tallyVitest(report({ numPassedTests: 5, numFailedTests: 0, testResults }), false);
    expect(`${tally}`).toBe("5 passed, 1 failed");
    expect(tally.failures).toEqual(["a.test.ts\n  no such module"]);
  });

  it("names the tests that failed, and why", () => {
    const assertionResults = [
      { status: "passed", fullName: "good", failureMessages: [] },
      { status: "failed", fullName: "bad", failureMessages: ["Error: 1 is not 2\n    at a.test.ts:7"] },
    ];
    const testResults = [{ status: "failed", name: "a.test.ts", message: "", assertionResults }];
    const tally = tallyVitest(report({ numPassedTests: 5, numFailedTests: 1, testResults }), false);
    expect(`${tally}`).toBe("5 passed, 1 failed");
    expect(tally.failures).toEqual(["a.test.ts > bad\n  Error: 1 is not 2\n  at a.test.ts:7"]);
  });

  it("counts an error outside of the tests", () => {
    const file = report({ numPassedTests: 5, numFailedTests: 0, testResults: [] });
    expect(`${tallyVitest(file, false)}`).toBe("5 passed, 1 failed");
  });

  it("counts a run that left no report", () => {
    expect(`${tallyVitest(path.join(dir, "absent.json"), true)}`).toBe("0 passed, 1 failed");
  });
});
