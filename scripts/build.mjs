import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { hashFile, hashInputs, isFresh, recordBuild } from "./fingerprint.mjs";
import { withLock } from "./lock.mjs";
import { cacheDir, inRoot } from "./paths.mjs";
import { explain, isInstalled, run } from "./step.mjs";

// Cargo.lock is not among them: a build may complete it. It counts as an output, which must be as the build left it.
const nativeInputs = () => [
  "native/Cargo.toml",
  "native/build.rs",
  "native/src",
  ...readdirSync(inRoot("native/crates")).flatMap((crate) => [
    `native/crates/${crate}/Cargo.toml`,
    `native/crates/${crate}/build.rs`,
    `native/crates/${crate}/src`,
  ]),
];
const scriptInputs = [
  "src",
  "native/binding.d.ts",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsdown.config.ts",
];

/** A problem the reader can solve: printed as it is, without a stack. */
export class BuildError extends Error {}

const say = (/** @type {string} */ line) => console.log(`rulake: ${line}`);

/** A folder on the same file system as its destination, so that the result moves into place in one step. */
function emptyDir(/** @type {string} */ name) {
  const dir = path.join(cacheDir, `${name}-${process.pid}`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  return dir;
}

async function buildNative() {
  if (!(await isInstalled("cargo"))) {
    throw new BuildError(
      "rulake: building from a checkout needs Rust 1.90 or newer, and `cargo` is not on the PATH.\n" +
        "rulake: install it with  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y  and run this again in a new shell.",
    );
  }
  say("building the native engine (release; about two minutes the first time)");
  const draft = emptyDir("native");
  try {
    const target = ["--platform", "--release", "--manifest-path", "native/Cargo.toml"];
    const output = ["--output-dir", path.relative(inRoot(), draft), "--no-js", "--dts", "binding.d.ts"];
    const locked = process.env.CI ? ["--", "--locked"] : [];
    const built = await run("native", "napi", ["build", ...target, ...output, ...locked]);
    const binary = readdirSync(draft).find((file) => file.endsWith(".node"));
    if (!built.ok || binary === undefined) {
      explain(built);
      throw new BuildError("rulake: the native build failed (see above).");
    }
    // Renamed, never copied over: a running process may have the old binary mapped.
    renameSync(path.join(draft, binary), inRoot("native", binary));
    const outputs = [`native/${binary}`, "native/Cargo.lock"];
    const types = path.join(draft, "binding.d.ts");
    if (existsSync(types)) {
      const relative = path.relative(inRoot(), types);
      if (hashFile(relative) !== hashFile("native/binding.d.ts"))
        copyFileSync(types, inRoot("native/binding.d.ts"));
      outputs.push("native/binding.d.ts");
    }
    say(`native/${binary} built in ${built.seconds.toFixed(0)} s`);
    return outputs;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function buildScripts() {
  const draft = emptyDir("dist");
  const old = emptyDir("dist-old");
  try {
    const built = await run("tsdown", "tsdown", [
      "--out-dir",
      path.relative(inRoot(), draft),
      "--log-level",
      "warn",
    ]);
    if (!built.ok) {
      explain(built);
      throw new BuildError("rulake: the TypeScript build failed (see above).");
    }
    if (existsSync(inRoot("dist"))) renameSync(inRoot("dist"), path.join(old, "dist"));
    renameSync(draft, inRoot("dist"));
    say(`dist/ built in ${built.seconds.toFixed(0)} s`);
    return ["dist"];
  } finally {
    rmSync(draft, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/**
 * Builds what is stale: the native binary and its types, then dist/.
 *
 * @param {{ force?: boolean }} [options]
 */
export async function build({ force = false } = {}) {
  /** @param {string} name @param {() => string} inputs @param {() => Promise<string[]>} build */
  const unlessFresh = async (name, inputs, build) => {
    const before = inputs();
    if (!force && isFresh(name, before)) return;
    // An input that changes during the build makes the next run build again, never a stale result pass for fresh.
    recordBuild(name, before, await build());
  };
  await withLock(
    "prepare",
    async () => {
      const platform = `${process.platform}-${process.arch}`;
      await unlessFresh("native", () => hashInputs(nativeInputs(), platform), buildNative);
      await unlessFresh("dist", () => hashInputs(scriptInputs), buildScripts);
    },
    () => say("waiting for another build of this checkout"),
  );
}
