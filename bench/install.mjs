import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const installed = fileURLToPath(new URL("node_modules/.installed-lock.json", import.meta.url));

/** Installs the packages of `bench/package.json` when they are not those of its lock file. */
export function installPeers() {
  const lock = readFileSync(new URL("package-lock.json", import.meta.url), "utf8");
  if (existsSync(installed) && readFileSync(installed, "utf8") === lock) return;
  console.log("Installing the peers and the data packages (about 450 MB) into bench/node_modules");
  run("npm", ["ci", "--prefix", here, "--no-fund", "--no-audit"]);
  writeFileSync(installed, lock);
}

/**
 * Builds the Rust peer and returns its program, or `undefined` without a Rust toolchain.
 *
 * @returns {string | undefined}
 */
export function buildUpstream() {
  const manifest = fileURLToPath(new URL("peers/upstream/Cargo.toml", import.meta.url));
  const target = fileURLToPath(new URL(".cache/upstream-target", import.meta.url));
  if (spawnSync("cargo", ["--version"]).status !== 0) return undefined;
  run("cargo", ["build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target]);
  return `${target}/release/upstream-peer${process.platform === "win32" ? ".exe" : ""}`;
}

/** Builds our own package if its sources changed. */
export function buildPackage() {
  run(process.execPath, [fileURLToPath(new URL("../scripts/prepare.mjs", import.meta.url))]);
}

/** Where the package that is measured lies. */
export const packageCopy = new URL(".cache/package/", import.meta.url);

/** Copies our own package as it is built now: a run lasts long, and meanwhile somebody may build it anew. */
export function copyPackage() {
  const root = new URL("../", import.meta.url);
  rmSync(packageCopy, { recursive: true, force: true });
  mkdirSync(new URL("native/", packageCopy), { recursive: true });
  cpSync(new URL("package.json", root), new URL("package.json", packageCopy));
  cpSync(new URL("dist/", root), new URL("dist/", packageCopy), { recursive: true });
  for (const file of readdirSync(new URL("native/", root)).filter((name) => name.endsWith(".node"))) {
    cpSync(new URL(`native/${file}`, root), new URL(`native/${file}`, packageCopy));
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    stdio: "inherit",
    shell: process.platform === "win32" && command === "npm",
  });
  if (status !== 0) throw error ?? new Error(`${command} ${args[0]} failed with ${status}`);
}
