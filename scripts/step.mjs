import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { cacheDir, inRoot, root } from "./paths.mjs";

/**
 * @typedef {object} Outcome
 * @property {boolean} ok the command started and exited with 0
 * @property {string} output stdout and stderr, in the order they came
 * @property {number} seconds wall time
 * @property {string} log file that holds the output, relative to the root
 */

/** Tools of node_modules are found without npx, which would ask the registry when one is missing. */
const PATH = [inRoot("node_modules", ".bin"), process.env.PATH].join(path.delimiter);

/**
 * Runs a command and keeps its output in `.cache/logs/<name>.log`.
 *
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string; env?: NodeJS.ProcessEnv; echo?: boolean }} [options]
 * @returns {Promise<Outcome>}
 */
export function run(name, command, args, { cwd = root, env = {}, echo = false } = {}) {
  const logs = path.join(cacheDir, "logs");
  mkdirSync(logs, { recursive: true });
  const file = path.join(logs, `${name.replaceAll(/[^\w.-]+/g, "-")}.log`);
  const started = performance.now();
  return new Promise((resolve) => {
    const log = createWriteStream(file);
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, PATH, FORCE_COLOR: "0", NO_COLOR: "1", CARGO_TERM_COLOR: "never", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        log.write(chunk);
        if (echo) process.stdout.write(chunk);
      });
    }
    let settled = false;
    const finish = (/** @type {boolean} */ ok, /** @type {string} */ note) => {
      if (settled) return;
      settled = true;
      log.end(note, () => {
        const output = readFileSync(file, "utf8");
        resolve({
          ok,
          output,
          seconds: (performance.now() - started) / 1000,
          log: path.relative(root, file),
        });
      });
    };
    child.on("error", (error) => finish(false, `${command} could not be started: ${error.message}\n`));
    child.on("close", (code, signal) =>
      finish(code === 0, signal ? `\n${command} was ended by ${signal}\n` : ""),
    );
  });
}

/** True when `command` answers `--version`. */
export async function isInstalled(/** @type {string} */ command) {
  return new Promise((resolve) => {
    const child = spawn(command, ["--version"], { stdio: "ignore", shell: process.platform === "win32" });
    child.on("error", () => resolve(false));
    child.on("close", (code) => resolve(code === 0));
  });
}

/** One line of result, e.g. `  ok    types                12.3 s`. */
export function report(
  /** @type {boolean} */ ok,
  /** @type {string} */ name,
  /** @type {number} */ seconds,
  note = "",
) {
  console.log(
    `  ${ok ? "ok  " : "FAIL"}  ${name.padEnd(22)} ${`${seconds.toFixed(1)} s`.padStart(8)}  ${note}`.trimEnd(),
  );
}

/**
 * What failed, and the part of the output that tells why: without passed tests and compile progress, at most
 * 120 lines.
 *
 * @param {Outcome} outcome
 * @param {string[]} [failures]
 */
export function explain({ output, log }, failures = []) {
  const noise =
    /^\s*(Compiling|Downloaded|Downloading|Checking|Updating|Locking|Finished|Fresh|Running) |^test .* (ok|ignored)$|^\s*✓ |^\s*$/;
  const lines = output
    .trimEnd()
    .split("\n")
    .filter((line) => !noise.test(line));
  const shown = [...failures.flatMap((failure) => failure.split("\n")), ...lines.slice(-120)];
  console.log([...shown, `(whole output: ${log})`].map((line) => `      ${line}`).join("\n"));
}
