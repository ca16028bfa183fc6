import { describe, expect, it, vi } from "vitest";
import { LakeError } from "../src/errors.js";
import { withRetry } from "../src/retry.js";

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

  it("ends a wait at once, not after it", async () => {
    const reason = new Error("stop");
    const controller = new AbortController();
    const begun = performance.now();
    const work = vi.fn(() => Promise.reject(fail("transient")));
    const waiting = withRetry(work, { transientDelaysMs: [60_000], signal: controller.signal });
    setTimeout(() => controller.abort(reason), 10);
    await expect(waiting).rejects.toBe(reason);
    expect(performance.now() - begun).toBeLessThan(30_000);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it("tells of each repetition, and takes errors of another copy of the package", async () => {
    vi.resetModules();
    const theirs = await import("../src/errors.js");
    const error = new theirs.LakeError("locked", { code: "LAKE_LOCKED", category: "transient" });
    const told: unknown[] = [];
    const onRetry = (retry: object) => told.push(retry);
    const outcome = await withRetry(
      (attempt) => {
        if (attempt < 3) throw error;
        return attempt;
      },
      { transientDelaysMs: [1, 2, 3], jitter: 0, onRetry },
    );
    expect(outcome).toBe(3);
    expect(told).toEqual([
      { error, attempt: 1, delayMs: 1 },
      { error, attempt: 2, delayMs: 2 },
    ]);
  });

  it("spreads its callers over the wait", async () => {
    const errors = new Array(9).fill(fail("transient"));
    const waits: unknown[] = [];
    for (let i = 0; i < 20; i++) waits.push((await run(errors, { jitter: 1 })).waits[0]);
    expect(new Set(waits).size).toBeGreaterThan(10);
  });

  it("checks its policy before the first attempt", async () => {
    const work = vi.fn(async () => "done");
    const code = (policy: object) => withRetry(work, policy).catch((error) => error.code);
    expect(await code({ retries: 3 })).toBe("UNKNOWN_OPTION");
    for (const policy of [
      { transientDelaysMs: 1000 },
      { transientDelaysMs: [-1] },
      { infrastructureDelaysMs: [Number.NaN] },
      { infrastructureDelaysMs: [2 ** 31] },
      { jitter: 2 },
      { jitter: "half" },
      { signal: {} },
      { classify: "transient" },
      { onRetry: 1 },
      { isRetryable: true },
    ]) {
      expect(await code(policy), JSON.stringify(policy)).toBe("INVALID_OPTION");
    }
    expect(work).not.toHaveBeenCalled();
    for (const none of [5, undefined, {}]) {
      await expect(withRetry(none as never)).rejects.toMatchObject({
        name: "ConfigError",
        code: "INVALID_OPTION",
        message: expect.stringContaining("'fn' must be a function"),
      });
    }
  });
});
