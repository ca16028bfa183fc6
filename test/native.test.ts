import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConfigError } from "../src/errors.js";

/** A fresh copy of the module: it remembers the binary it has loaded. */
async function freshModule() {
  vi.resetModules();
  return import("../src/native.js");
}

/** Goes by code and name: the fresh module has a fresh copy of the error classes too. */
async function failure(): Promise<ConfigError> {
  const { native } = await freshModule();
  try {
    native();
  } catch (error) {
    if (ConfigError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("the binary loaded");
}

describe("the native binary", () => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "rulake-native-"));
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
  });

  it("loads once, on first use", async () => {
    const { native } = await freshModule();
    expect(native()).toBe(native());
  });

  it("is named after platform, architecture and libc", async () => {
    const { nativeTriple } = await freshModule();
    expect(nativeTriple("linux", "x64", () => false)).toBe("linux-x64-gnu");
    expect(nativeTriple("linux", "arm64", () => true)).toBe("linux-arm64-musl");
    expect(nativeTriple("darwin", "arm64")).toBe("darwin-arm64");
    expect(nativeTriple("win32", "x64")).toBe("win32-x64-msvc");
  });

  it("says which package is missing and how to get it", async () => {
    vi.stubEnv("RULAKE_NATIVE_PATH", path.join(dir, "absent.node"));
    const error = await failure();
    expect(error.code).toBe("NATIVE_NOT_FOUND");
    expect(error.isRetryable()).toBe(false);
    expect(error.hint).toContain("RULAKE_NATIVE_PATH");
    expect(error.context.tried).toEqual([path.join(dir, "absent.node")]);
  });

  it("tells a broken binary from a missing one", async () => {
    const broken = path.join(dir, "broken.node");
    writeFileSync(broken, "not a shared library");
    vi.stubEnv("RULAKE_NATIVE_PATH", broken);
    const error = await failure();
    expect(error.code).toBe("NATIVE_LOAD_FAILED");
    expect(error.message).toContain("broken.node");
    expect(error.cause).toBeInstanceOf(Error);
  });
});
