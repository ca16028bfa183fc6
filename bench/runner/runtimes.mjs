import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildRust, installPython, newerNode } from "../install.mjs";

/** @typedef {import("../lineup.mjs").Entry} Entry */
/** @typedef {import("../lineup.mjs").Runtime} Runtime */
/** @typedef {import("../measure/request.mjs").Request} Request */

const nodeStep = fileURLToPath(new URL("../measure/step.mjs", import.meta.url));
const pythonStep = fileURLToPath(new URL("../peers/python/step.py", import.meta.url));
const cache = fileURLToPath(new URL("../.cache/run/", import.meta.url));

/** @type {Record<Runtime, { lacks: string; command(): string[] | undefined }>} */
const runtimes = {
  node: { lacks: "", command: () => [process.execPath, "--expose-gc", nodeStep] },
  "newer-node": {
    lacks: "no newer Node.js for this platform",
    command() {
      const node = newerNode();
      return node === undefined ? undefined : [node, "--expose-gc", nodeStep];
    },
  },
  python: {
    lacks: "the Python packages cannot be installed",
    command() {
      const python = installPython();
      return python === undefined ? undefined : [python, pythonStep];
    },
  },
  rust: {
    lacks: "there is no Rust toolchain",
    command() {
      const program = buildRust("upstream");
      return program === undefined ? undefined : [program];
    },
  },
};

/**
 * What is made ready once for all runs of a command: the runtimes of the entries.
 *
 * @param {Entry[]} entries
 * @returns {{ ready: Entry[]; commands: Map<string, string[]> }} `ready`: those that can run; the others are reported
 */
export function prepareRuntimes(entries) {
  /** @type {Map<string, string[]>} */
  const commands = new Map();
  /** @type {Map<Runtime, string[] | undefined>} */
  const made = new Map();
  const ready = entries.filter((entry) => {
    if (!made.has(entry.runtime)) made.set(entry.runtime, runtimes[entry.runtime].command());
    const command = made.get(entry.runtime);
    if (command === undefined) console.log(`${entry.title}: left out, ${runtimes[entry.runtime].lacks}`);
    else commands.set(entry.id, command);
    return command !== undefined;
  });
  return { ready, commands };
}

/**
 * Runs one step in a process of its own and waits for its end.
 *
 * @param {string[]} command
 * @param {Omit<Request, "result">} request
 * @returns {any} its result
 */
export function runStep([program = "", ...args], request) {
  mkdirSync(cache, { recursive: true });
  const file = path.join(cache, "request.json");
  const result = path.join(cache, "result.json");
  rmSync(result, { force: true });
  writeFileSync(file, JSON.stringify({ ...request, result }));
  const { status, signal } = spawnSync(program, [...args, file], { stdio: "inherit" });
  if (status !== 0) throw new Error(`the ${request.step} process ended with ${status ?? signal}`);
  return JSON.parse(readFileSync(result, "utf8"));
}
