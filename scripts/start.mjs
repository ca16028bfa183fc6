#!/usr/bin/env node
// `npm start -- "a question"`: answers from the documentation of this repository, offline.
import { spawn } from "node:child_process";
import { inRoot } from "./paths.mjs";
import { setupOrExit } from "./setup.mjs";

await setupOrExit();
const program = spawn(
  process.execPath,
  [inRoot("examples/00-ask-the-docs/main.mjs"), ...process.argv.slice(2)],
  {
    stdio: "inherit",
  },
);
program.on("close", (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
