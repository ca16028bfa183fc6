import { describe, expect, it, vi } from "vitest";
import { ConfigError, IndexError, LakeError, RuLakeError, withRetry } from "../src/errors.js";

describe("errors", () => {
  it("carry code, category, context, hint and cause", () => {
    const cause = new Error("below");
    const error = new IndexError("it broke", {
      code: "IO",
      category: "infrastructure",
      context: { path: "a" },
      hint: "look",
      cause,
    });
    expect(error).toMatchObject({
      name: "IndexError",
      code: "IO",
      context: { path: "a" },
      hint: "look",
      cause,
    });
    expect(error.isRetryable()).toBe(true);
    const plain = new ConfigError("no", { code: "INVALID_OPTION" });
    expect(plain).toMatchObject({ category: "permanent", context: {} });
    expect("hint" in plain).toBe(false);
    expect(plain.isRetryable()).toBe(false);
  });

  it("are recognised across copies of the package", async () => {
    vi.resetModules();
    const other = await import("../src/errors.js");
    expect(other.IndexError).not.toBe(IndexError);
    const theirs = new other.IndexError("x", { code: "X" });
    expect(theirs instanceof IndexError).toBe(false);
    expect(IndexError.isInstance(theirs)).toBe(true);
    expect(RuLakeError.isInstance(theirs)).toBe(true);
    expect(LakeError.isInstance(theirs)).toBe(false);
    for (const no of [undefined, null, "x", {}, new Error("x")])
      expect(RuLakeError.isInstance(no)).toBe(false);
  });
});

describe("withRetry", () => {
  const fail = (category: "transient" | "permanent" | "infrastructure") =>
    new LakeError(category, { code: "X", category });

  async function run(errors: unknown[], policy = {}) {
    vi.useFakeTimers();
    const waits: number[] = [];
    const work = vi.fn(async (attempt: number) => {
      const error = errors[attempt - 1];
      if (error !== undefined) throw error;
      return "done";
    });
    try {
      const outcome = withRetry(work, { ...policy, onRetry: ({ delayMs }) => waits.push(delayMs) }).catch(
        (error) => error,
      );
      await vi.runAllTimersAsync();
      return { outcome: await outcome, calls: work.mock.calls.length, waits };
    } finally {
      vi.useRealTimers();
    }
  }

  it("repeats transient errors three times, after 1, 2 and 4 s less jitter", async () => {
    const errors = new Array(9).fill(fail("transient"));
    const { outcome, calls, waits } = await run(errors);
    expect(outcome).toBe(errors[0]);
    expect(calls).toBe(4);
    for (const [i, full] of [1000, 2000, 4000].entries()) {
      expect(waits[i]).toBeLessThanOrEqual(full);
      expect(waits[i]).toBeGreaterThanOrEqual(full / 2);
    }
    expect((await run(errors, { jitter: 0 })).waits).toEqual([1000, 2000, 4000]);
  });

  it("repeats infrastructure errors once, permanent and unknown ones never", async () => {
    expect((await run(new Array(9).fill(fail("infrastructure")))).calls).toBe(2);
    expect((await run([fail("permanent")])).calls).toBe(1);
    expect((await run([new TypeError("fetch failed")])).calls).toBe(1);
    expect((await run([new TypeError("fetch failed")], { classify: () => "transient" })).outcome).toBe(
      "done",
    );
    expect(await run([fail("infrastructure"), fail("transient")])).toMatchObject({
      outcome: "done",
      calls: 3,
    });
  });

  it("ends with its signal", async () => {
    const reason = new Error("stop");
    await expect(withRetry(() => "never", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = withRetry(() => Promise.reject(fail("transient")), {
      signal: controller.signal,
      onRetry: () => setTimeout(() => controller.abort(reason), 5),
    });
    await expect(waiting).rejects.toBe(reason);
  });
});
