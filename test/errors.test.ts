import { describe, expect, it, vi } from "vitest";
import { ConfigError, IndexError, LakeError, RuLakeError } from "../src/errors.js";

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
