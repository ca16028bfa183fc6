import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type * as binding from "../native/binding.js";
import { ConfigError } from "./errors.js";

/** What the binary exports; the declarations are generated from `native/src`. */
export type NativeBinding = typeof binding;

const require = createRequire(import.meta.url);

/**
 * Name of the binary for a platform, as in `rulake.<triple>.node` and `@rulake/native-<triple>`.
 *
 * @example `linux-x64-gnu`, `linux-arm64-musl`, `darwin-arm64`, `win32-x64-msvc`
 */
export function nativeTriple(platform = process.platform, arch = process.arch, musl = isMusl): string {
  if (platform === "linux") return `linux-${arch}-${musl() ? "musl" : "gnu"}`;
  if (platform === "win32") return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

/** Whether this Linux runs on musl (Alpine) instead of glibc. */
function isMusl(): boolean {
  try {
    // A shell script on both: reading it costs far less than the diagnostic report below.
    const ldd = readFileSync("/usr/bin/ldd", "utf8");
    if (ldd.includes("musl")) return true;
    if (/glibc|gnu c library/i.test(ldd)) return false;
  } catch {
    // Slim images have no ldd.
  }
  const report = process.report?.getReport() as
    | { header?: { glibcVersionRuntime?: string }; sharedObjects?: string[] }
    | undefined;
  if (report?.header?.glibcVersionRuntime) return false;
  return report?.sharedObjects?.some((file) => /(libc\.musl-|ld-musl-)/.test(file)) ?? false;
}

/** Where the binary is looked for, in this order. `src/` and `dist/` are both one level below the package root. */
function candidates(triple: string): string[] {
  const forced = process.env.RULAKE_NATIVE_PATH;
  if (forced) return [forced];
  const beside = fileURLToPath(new URL(`../native/rulake.${triple}.node`, import.meta.url));
  return [beside, `@rulake/native-${triple}`];
}

function isAbsent(candidate: string, error: unknown): boolean {
  if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") return false;
  return !existsSync(candidate);
}

function load(): NativeBinding {
  const triple = nativeTriple();
  const tried = candidates(triple);
  const failures: unknown[] = [];
  for (const candidate of tried) {
    try {
      return require(candidate) as NativeBinding;
    } catch (error) {
      if (!isAbsent(candidate, error)) failures.push(error);
    }
  }
  const context = { triple, tried, node: process.versions.node };
  if (failures.length > 0) {
    const reasons = failures.map((failure) => (failure as Error).message).join("; ");
    throw new ConfigError(`The native binary for ${triple} was found but does not load: ${reasons}`, {
      code: "NATIVE_LOAD_FAILED",
      context,
      hint: "Delete node_modules and install again on this machine; a binary copied from another system or libc does not load.",
      cause: failures[0],
    });
  }
  throw new ConfigError(`No native binary for ${triple} was found; tried ${tried.join(" and ")}.`, {
    code: "NATIVE_NOT_FOUND",
    context,
    hint: process.env.RULAKE_NATIVE_PATH
      ? "RULAKE_NATIVE_PATH must name the .node file; unset it to use the installed one."
      : `The binary comes as the optional dependency @rulake/native-${triple}. If the lock file was written on another ` +
        "platform, npm may leave it out (npm/cli#4828): delete node_modules and package-lock.json and run npm install; " +
        "also check that --omit=optional is not set. In a checkout, install Rust (https://rustup.rs) and run npm run build.",
  });
}

let loaded: NativeBinding | undefined;

/**
 * The native binding, loaded on the first call so that `import "rulake"` opens no shared library. This is the only
 * place that does.
 *
 * @throws {@link ConfigError} `NATIVE_NOT_FOUND` when no binary for this platform is installed, `NATIVE_LOAD_FAILED`
 * when the operating system refuses the one that is.
 */
export function native(): NativeBinding {
  loaded ??= load();
  return loaded;
}
