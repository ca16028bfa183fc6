import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { scratchDirectory } from "../lake/scratch.js";

const run = promisify(execFile);
const scratch = scratchDirectory();

/** Without the keys that would make an example ask a model on the net. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(OPENAI|ANTHROPIC|OLLAMA)_/.test(name)),
);
const example = (name: string, ...args: string[]) =>
  run(process.execPath, [inRoot("examples", name, "main.mjs"), ...args], { env, timeout: 50_000 });

describe("example 07-a2a-agent", () => {
  it("shows what the remote agent does, and goes on with its question answered", async () => {
    const { stdout, stderr } = await example("07-a2a-agent");
    expect(stderr).toBe("");
    const shown = [
      "Paint shop asks: Which colour",
      "[working] first coat",
      "Done: the garden bench, dark green",
      "Your bench",
    ];
    const places = shown.map((text) => stdout.indexOf(text));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });
});

describe("example 08-a2a-retriever", () => {
  it("answers remote agents from a lake", async () => {
    const { stdout, stderr } = await example("08-a2a-retriever", `${scratch()}/served`);
    expect(stderr).toBe("");
    expect(stdout.split("\n").filter((line) => line.includes("->"))).toEqual([
      "  -> The signing keys are rotated every ninety days; the night shift runs the job.  (line 1)",
      "  -> Backups are copied to a second site and restored once a month as a drill.  (line 4)",
    ]);
  });
});
