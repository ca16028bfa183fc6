import { expect, it, vi } from "vitest";
import { LakeError } from "../../src/errors.js";
import { lakeCallNow } from "../../src/lake/native-call.js";
import { openSnapshot } from "../../src/lake/snapshot.js";
import { failure } from "./scratch.js";

/** As `native/src/error.rs` makes it. */
const conflict = () =>
  Object.assign(new Error("'docs' was dropped"), { code: "CONFLICT", category: "transient", context: {} });

it("makes errors of getters those of the call, and lets go of the handle", async () => {
  const close = vi.fn();
  const handle = {
    name: "docs",
    metric: "cosine",
    close,
    get snapshotId(): string {
      throw conflict();
    },
  };
  const error = await failure(openSnapshot("f()", { closed: false }, async () => handle as never));
  expect(error).toBeInstanceOf(LakeError);
  expect(error).toMatchObject({
    message: "f(): 'docs' was dropped",
    code: "CONFLICT",
    category: "transient",
  });
  expect(close).toHaveBeenCalledTimes(1);
});

it("makes errors of what returns at once those of a lake", () => {
  const call = () =>
    lakeCallNow("f()", () => {
      throw conflict();
    });
  expect(call).toThrow(expect.objectContaining({ name: "LakeError", code: "CONFLICT" }));
});
