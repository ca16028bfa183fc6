#!/usr/bin/env node
// `npm start -- "a question"`: answers from the documentation of this repository, offline.
import { spawn } from "node:child_process";
import { inRoot } from "./paths.mjs";
import { setupOrExit } from "./setup.mjs";

const args = process.argv.slice(2);
// Then standard output is one JSON object, also when something is built first.
if (args.includes("--json")) console.log = console.error;
await setupOrExit();
const program = spawn(process.execPath, [inRoot("examples/00-ask-the-docs/main.mjs"), ...args], {
  stdio: "inherit",
});
// Ctrl-C reaches the program too: it stores what it has, and decides when to end.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => program.kill("SIGTERM"));
program.on("close", (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
