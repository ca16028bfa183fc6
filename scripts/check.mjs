#!/usr/bin/env node
// `npm run check`: everything CI asks of a commit besides its tests. All checks run, whatever fails.
import { existsSync } from "node:fs";
import { checkPackage } from "./package-contents.mjs";
import { inRoot, root } from "./paths.mjs";
import { setupOrExit } from "./setup.mjs";
import { explain, report, run } from "./step.mjs";
import { Tally } from "./tally.mjs";

/** The cargo-deny this repository is checked with; built once per checkout. */
const cargoDeny = "0.20.2";

/** It runs for a fraction of a second: optimising it would double the minute it takes to build. */
const quickBuild = { CARGO_PROFILE_RELEASE_OPT_LEVEL: "0", CARGO_PROFILE_RELEASE_LTO: "off" };

const native = { cwd: inRoot("native") };
const filter = process.argv.slice(2);
const total = new Tally();

/** @param {string} name @param {() => Promise<import("./step.mjs").Outcome>} start */
async function check(name, start) {
  if (filter.length > 0 && !filter.includes(name)) return;
  const started = performance.now();
  const outcome = await start();
  total.add(outcome.ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
  report(outcome.ok, name, (performance.now() - started) / 1000);
  if (!outcome.ok) explain(outcome);
}

/** @param {string} name @param {string} command @param {string[]} args */
const tool = (name, command, ...args) => check(name, () => run(name, command, args));

/** @param {string} name @param {string[]} args */
const cargo = (name, ...args) => check(name, () => run(name, "cargo", args, native));

async function deny() {
  const home = inRoot("native/target/tools", `cargo-deny-${cargoDeny}`);
  const binary = `${home}/bin/cargo-deny${process.platform === "win32" ? ".exe" : ""}`;
  if (!existsSync(binary)) {
    const args = ["install", "--locked", "--version", cargoDeny, "--root", home, "cargo-deny"];
    const installed = await run("cargo-deny-install", "cargo", args, { env: quickBuild });
    if (!installed.ok) return installed;
  }
  return run("cargo-deny", binary, ["check", "licenses", "bans", "sources"], native);
}

await setupOrExit();
console.log("rulake: checks");
await tool("types", "tsc", "--noEmit");
await tool("biome", "biome", "ci", "--error-on-warnings", "--colors=off");
await tool("knip", "knip", "--no-progress");
await tool("publint", "publint", "--strict");
await tool("package types", "attw", "--pack", root, "--profile", "node16", "--no-emoji");
await check("package contents", checkPackage);
await cargo("rustfmt", "fmt", "--all", "--", "--check", "-l");
await cargo("clippy", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings");
await check("rustdoc", () => {
  const args = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
  return run("rustdoc", "cargo", args, { ...native, env: { RUSTDOCFLAGS: "-D warnings" } });
});
await check("cargo-deny", deny);
if (process.env.CI) {
  // Setup regenerated the file from native/src; a difference means that the commit left it behind.
  await tool("binding types", "git", "diff", "--exit-code", "--", "native/binding.d.ts");
}
console.log(`${total}`);
total.finish();
