#!/usr/bin/env node
// `npm test`: everything that runs in minutes. `npm run test:heavy`: large data, killed processes, emulated CPUs, fuzzing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { inRoot } from "./paths.mjs";
import { setupOrExit } from "./setup.mjs";
import { explain, report, run } from "./step.mjs";
import { Tally, tallyCargo, tallyVitest } from "./tally.mjs";

const usage = `npm test              all that runs in minutes
npm run test:heavy    large data, killed processes, emulated CPUs, fuzzing
  -- --verbose        shows the output of the tools as it comes
For a part, once all is built: npx vitest run test/lake, or cargo test in native/.`;

const { heavy, verbose: echo } = readOptions();
const total = new Tally();

function readOptions() {
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  try {
    const { values } = parseArgs({ options: { heavy: flag, verbose: flag, help: flag } });
    if (!values.help) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

/** @param {string} name @param {import("./step.mjs").Outcome} outcome @param {Tally} tally */
function conclude(name, outcome, tally) {
  total.add(tally);
  report(tally.failed === 0, name, outcome.seconds, `${tally}`);
  if (tally.failed > 0 && !echo) explain(outcome, tally.failures);
}

async function cargoTests() {
  const args = ["test", "--workspace", "--locked", "--no-fail-fast"];
  const outcome = await run("cargo test", "cargo", args, { cwd: inRoot("native"), echo });
  conclude("cargo test", outcome, tallyCargo(outcome.output, outcome.ok));
}

async function heavyCargoTests() {
  const args = ["test", "--workspace", "--locked", "--no-fail-fast", "--", "--ignored"];
  const outcome = await run("cargo test (heavy)", "cargo", args, { cwd: inRoot("native"), echo });
  conclude("cargo test (heavy)", outcome, tallyCargo(outcome.output, outcome.ok, { mayBeEmpty: true }));
}

/** @param {string} name @param {NodeJS.ProcessEnv} env */
async function vitest(name, env) {
  const dir = mkdtempSync(path.join(tmpdir(), "rulake-vitest-"));
  const json = path.join(dir, "report.json");
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${json}`];
  const outcome = await run(name, "vitest", args, { env, echo });
  conclude(name, outcome, tallyVitest(json, outcome.ok));
  rmSync(dir, { recursive: true, force: true });
}

/** The kernels for AArch64, under an emulator. */
async function neonTests() {
  const outcome = await run("neon", "sh", ["scripts/test-neon.sh"], { echo });
  conclude("neon (emulated)", outcome, tallyCargo(outcome.output, outcome.ok));
}

/** A minute of each fuzz target; hours of one are for hands. */
async function fuzzTargets() {
  const outcome = await run("fuzz", "sh", ["native/fuzz/run.sh", "all", "60"], { echo });
  const tally = new Tally();
  tally.add(outcome.ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
  conclude("fuzz", outcome, tally);
}

await setupOrExit();
console.log(heavy ? "rulake: heavy tests" : "rulake: tests");
if (heavy) {
  await heavyCargoTests();
  await vitest("vitest (heavy)", { RULAKE_HEAVY: "1" });
  await neonTests();
  await fuzzTargets();
} else {
  await cargoTests();
  await vitest("vitest", {});
}
console.log(`${total}`);
total.finish();
