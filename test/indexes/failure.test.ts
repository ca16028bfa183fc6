import { describe, expect, it } from "vitest";
import { ConfigError, IndexError, LakeError } from "../../src/errors.js";
import { callNative, fromNative } from "../../src/indexes/failure.js";

/** As `native/src/error.rs` makes them. */
const native = (code: string, facts: object = {}) =>
  Object.assign(new Error("it broke"), { code, category: "permanent", context: { row: 3 }, ...facts });

describe("errors of the native side", () => {
  it("keep their fields and say which call failed", () => {
    const error = fromNative(native("CORRUPT_FILE", { category: "infrastructure" }), "loadIndex");
    expect(error).toBeInstanceOf(IndexError);
    expect(error).toMatchObject({
      message: "loadIndex: it broke",
      code: "CORRUPT_FILE",
      category: "infrastructure",
      context: { row: 3 },
      hint: expect.stringContaining("restore"),
    });
    expect(fromNative(native("X", { hint: "mine" }), "f", LakeError)).toMatchObject({
      name: "LakeError",
      hint: "mine",
    });
    expect(fromNative(native("INVALID_OPTION"), "f", LakeError)).toBeInstanceOf(ConfigError);
  });

  it("become AbortError when cancelled", () => {
    expect(fromNative(native("CANCELLED"), "f").name).toBe("AbortError");
  });

  it("pass through when they are ours already", () => {
    const mine = new LakeError("x", { code: "CLOSED" });
    expect(fromNative(mine, "f")).toBe(mine);
  });

  it("are INTERNAL when they have no such fields, and keep the cause", () => {
    for (const cause of [new TypeError("null pointer"), "text", undefined]) {
      expect(fromNative(cause, "f")).toMatchObject({
        code: "INTERNAL",
        category: "permanent",
        hint: expect.any(String),
      });
    }
    const cause = new Error("boom");
    const call = () =>
      callNative("f", () => {
        throw cause;
      });
    expect(call).toThrow(expect.objectContaining({ message: "f: internal error: boom", cause }));
  });
});
