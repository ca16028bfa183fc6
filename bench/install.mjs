import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Node.js for the peers whose newest versions need more than the oldest we support. */
const NEWER_NODE = "22.23.3";

const here = fileURLToPath(new URL(".", import.meta.url));
const windows = process.platform === "win32";

/** Installs the packages of `bench/package.json` when they are not those of its lock file. */
export function installPeers() {
  const installed = fileURLToPath(new URL("node_modules/.installed-lock.json", import.meta.url));
  const lock = readFileSync(new URL("package-lock.json", import.meta.url), "utf8");
  if (existsSync(installed) && readFileSync(installed, "utf8") === lock) return;
  console.log("Installing the peers and the data packages (about 600 MB) into bench/node_modules");
  const args = ["ci", "--prefix", here, "--no-fund", "--no-audit"];
  // npm leaves out optional packages that the Node.js it runs in is too old for.
  const node = newerNode();
  const npm = process.env.npm_execpath;
  if (node !== undefined && npm !== undefined) run(node, [npm, ...args]);
  else run("npm", args);
  writeFileSync(installed, lock);
}

/**
 * The program of a Node.js that is new enough for all peers, taken from the npm registry if need be, or `undefined` where
 * there is none.
 *
 * @returns {string | undefined}
 */
export function newerNode() {
  if (Number.parseInt(process.versions.node, 10) >= Number.parseInt(NEWER_NODE, 10)) return process.execPath;
  const name = `node-${windows ? "win" : process.platform}-${process.arch}`;
  const folder = fileURLToPath(new URL(".cache/node", import.meta.url));
  const program = `${folder}/node_modules/${name}/bin/node${windows ? ".exe" : ""}`;
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, '{ "private": true }\n');
    const args = [
      "install",
      "--prefix",
      folder,
      "--no-save",
      "--no-fund",
      "--no-audit",
      `${name}@${NEWER_NODE}`,
    ];
    if (spawnSync("npm", args, { stdio: "inherit", shell: windows }).status !== 0) return undefined;
  }
  return existsSync(program) ? program : undefined;
}

/**
 * Makes the virtual environment of the Python peers and returns its interpreter, or `undefined` where that fails.
 *
 * @returns {string | undefined}
 */
export function installPython() {
  const folder = fileURLToPath(new URL(".venv", import.meta.url));
  const python = windows ? `${folder}/Scripts/python.exe` : `${folder}/bin/python`;
  const wanted = fileURLToPath(new URL("peers/python/requirements.txt", import.meta.url));
  const stamp = `${folder}/installed.txt`;
  const text = readFileSync(wanted, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === text) return python;
  console.log("Installing the Python peers into bench/.venv");
  const steps = /** @type {const} */ ([
    [windows ? "python" : "python3", ["-m", "venv", folder]],
    [python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted]],
  ]);
  for (const [command, args] of steps) {
    if (spawnSync(command, args, { stdio: "inherit" }).status !== 0) return undefined;
  }
  writeFileSync(stamp, text);
  return python;
}

/**
 * Builds the Rust peer and returns its program, or `undefined` without a Rust toolchain.
 *
 * @param {"upstream" | "rabitq"} name
 * @returns {string | undefined}
 */
export function buildRust(name) {
  const manifest = fileURLToPath(new URL("peers/rust/Cargo.toml", import.meta.url));
  const target = fileURLToPath(new URL(".cache/rust-target", import.meta.url));
  if (spawnSync("cargo", ["--version"]).status !== 0) return undefined;
  const args = ["build", "--release", "--locked", "--bin", name, "--manifest-path", manifest];
  run("cargo", [...args, "--target-dir", target]);
  return `${target}/release/${name}${windows ? ".exe" : ""}`;
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
    shell: windows && command === "npm",
  });
  if (status !== 0) throw error ?? new Error(`${command} ${args[0]} failed with ${status}`);
}
