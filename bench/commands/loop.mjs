import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describeConditions } from "../machine.mjs";
import { toMarkdown } from "../report/loop.mjs";
import { resultsFolder } from "../runner/results-file.mjs";

/**
 * A figure for each round.
 *
 * @typedef {{ phase: string; seconds: number[]; longestMs: number[]; movingMs: number[] }} Phase
 */

/**
 * @typedef {object} Results
 * @property {Omit<import("../datasets/dataset.mjs").Dataset, "folder">} dataset
 * @property {ReturnType<typeof describeConditions>} conditions
 * @property {Phase[]} phases
 */

export const about = "how long long work holds up the event loop, beside a machine that is merely busy";

const program = fileURLToPath(new URL("../measure/loop-step.mjs", import.meta.url));
const ROUNDS = 5;
const CONTROL_MS = 10_000;

/**
 * @param {import("../datasets/dataset.mjs").Dataset} dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run({ folder, ...dataset }, { quick }) {
  const data = [folder, `${dataset.n}`, `${dataset.dimensions}`];
  const records = [...data, path.join(folder, "..", dataset.name, "base.txt")];
  const steps = [
    ["index", ...data],
    ["lake", ...records],
    ["control", `${CONTROL_MS}`, ...records],
  ];
  const conditions = describeConditions();
  /** @type {Map<string, Phase>} */
  const phases = new Map();
  for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
    for (const args of steps) {
      const { status, stdout } = spawnSync(process.execPath, ["--expose-gc", program, ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      });
      if (status !== 0) throw new Error(`the step '${args[0]}' ended with ${status}`);
      for (const { phase, longestMs, movingMs, seconds } of JSON.parse(stdout)) {
        /** @type {Phase} */
        const all = phases.get(phase) ?? { phase, seconds: [], longestMs: [], movingMs: [] };
        all.seconds.push(seconds);
        all.longestMs.push(longestMs);
        all.movingMs.push(movingMs);
        phases.set(phase, all);
        const moving = `${movingMs.toFixed(1)} without standstills`;
        console.log(`${phase}: ${longestMs.toFixed(1)} ms at most, ${moving}, in ${seconds.toFixed(1)} s`);
      }
    }
  }
  if (quick) return;
  /** @type {Results} */
  const results = { dataset, conditions, phases: [...phases.values()] };
  mkdirSync(resultsFolder, { recursive: true });
  const file = path.join(resultsFolder, `loop-${path.basename(folder)}`);
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(`${file}.md`, toMarkdown(results));
}
