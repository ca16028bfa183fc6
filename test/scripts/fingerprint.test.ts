import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hashInputs, isFresh, recordBuild } from "../../scripts/fingerprint.mjs";
import { cacheDir, inRoot } from "../../scripts/paths.mjs";

const name = `test-${process.pid}`;
const folder = `.cache/${name}`;
const input = inRoot(folder, "in/source.ts");
const output = inRoot(folder, "out/result.js");
const inputs = () => hashInputs([`${folder}/in`]);

describe("a recorded build", () => {
  beforeEach(() => {
    for (const file of [input, output]) {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, "one");
    }
    recordBuild(name, inputs(), [`${folder}/out`]);
  });

  afterEach(() => {
    rmSync(inRoot(folder), { recursive: true, force: true });
    rmSync(path.join(cacheDir, `${name}.stamp.json`), { force: true });
  });

  it("stays fresh when only times change", () => {
    utimesSync(input, new Date(), new Date());
    expect(isFresh(name, inputs())).toBe(true);
  });

  it("is stale when an input changes under its old time", () => {
    const old = new Date(0);
    writeFileSync(input, "two");
    utimesSync(input, old, old);
    expect(isFresh(name, inputs())).toBe(false);
  });

  it("is stale when an input is renamed, added or removed", () => {
    writeFileSync(inRoot(folder, "in/other.ts"), "");
    expect(isFresh(name, inputs())).toBe(false);
    rmSync(inRoot(folder, "in"), { recursive: true });
    expect(isFresh(name, inputs())).toBe(false);
  });

  it("is stale when an output is gone or was changed", () => {
    writeFileSync(output, "two");
    expect(isFresh(name, inputs())).toBe(false);
    rmSync(output);
    expect(isFresh(name, inputs())).toBe(false);
  });
});
