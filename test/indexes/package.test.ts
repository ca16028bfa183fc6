import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const names = [
  "FlatF32Index",
  "RabitqIndex",
  "RabitqPlusIndex",
  "RabitqAsymIndex",
  "RabitqIvfIndex",
  "VectorIndex",
  "loadIndex",
  "recommend",
  "cpuFeatures",
  "RuLakeError",
  "withRetry",
];

const use = `
  for (const name of ${JSON.stringify(names)}) if (typeof rulake[name] !== "function") throw new Error(name);
  rulake.FlatF32Index.build(Float32Array.of(1, 0, 0, 1), { dimensions: 2 })
    .then((index) => index.search([0, 1], 1))
    .then(([hit]) => console.log(JSON.stringify(hit)));
`;

function run(...args: string[]) {
  return spawnSync(process.execPath, args, { encoding: "utf8" });
}

describe("the built package", () => {
  it.each([
    ["import", ["--input-type=module", "-e", `import * as rulake from "rulake";${use}`]],
    ["require", ["-e", `const rulake = require("rulake");${use}`]],
  ])("works with %s", (_, args) => {
    expect(run(...args)).toMatchObject({
      status: 0,
      stderr: "",
      stdout: '{"id":1,"score":1,"distance":0}\n',
    });
  });

  it("recognises errors across its two builds", () => {
    const script = `
      import { IndexError } from "rulake";
      import { createRequire } from "node:module";
      const other = createRequire(import.meta.url)("rulake");
      const error = await other.FlatF32Index.load("no such file").catch((error) => error);
      console.log(error instanceof IndexError, IndexError.isInstance(error), error.code);
    `;
    expect(run("--input-type=module", "-e", script).stdout).toBe("false true FILE_NOT_FOUND\n");
  });

  it("is imported in under 100 ms and loads the binary only when it is used", () => {
    const script = `
      const begun = performance.now();
      const { cpuFeatures } = await import("rulake");
      const imported = performance.now() - begun;
      const before = process.report.getReport().sharedObjects.some((file) => file.endsWith(".node"));
      cpuFeatures();
      const after = process.report.getReport().sharedObjects.some((file) => file.endsWith(".node"));
      console.log(JSON.stringify({ imported, before, after }));
    `;
    const times = Array.from({ length: 3 }, () =>
      JSON.parse(run("--input-type=module", "-e", script).stdout),
    );
    for (const { before, after } of times) expect({ before, after }).toEqual({ before: false, after: true });
    expect(Math.min(...times.map(({ imported }) => imported))).toBeLessThan(100);
  });
});
