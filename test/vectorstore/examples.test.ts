import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchDirectory } from "./scratch.js";

const run = promisify(execFile);
const scratch = scratchDirectory();

describe.each([
  ["01-quickstart", ["ninety days", "Fridays at four", "restored once a month"]],
  ["02-llamaindex", ["ninety days", "Fridays at four"]],
])("example %s", (name, answers) => {
  it("answers, and the same when it is run again", async () => {
    const script = fileURLToPath(new URL(`../../examples/${name}/main.mjs`, import.meta.url));
    const path = `${scratch()}/notes`;
    const first = await run(process.execPath, [script, path]);
    const found = first.stdout.split("\n").filter((line) => line.includes("->"));
    expect(found).toHaveLength(answers.length);
    for (const [i, answer] of answers.entries()) expect(found[i]).toContain(answer);
    expect(first.stderr).toBe("");
    const second = await run(process.execPath, [script, path]);
    expect(second.stdout).toBe(first.stdout);
  });
});
