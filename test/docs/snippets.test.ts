import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheDir, inRoot } from "../../scripts/paths.mjs";
import { pages, programsIn } from "./pages.js";

const run = promisify(execFile);
/** Less than a test may take: what hangs is killed, so that the failure has its output so far. */
const limits = { timeout: 50_000, killSignal: "SIGKILL" } as const;
const programs = pages.flatMap(programsIn);
const sourceOf = (name: string) => `${name.replace(/[/:.]/g, "-")}.mts`;

/** Inside the checkout, so that `rulake` and the frameworks are found. */
let folder: string;
/** Where the programs run and write. */
let scratch: string;

beforeAll(() => {
  mkdirSync(cacheDir, { recursive: true });
  folder = mkdtempSync(path.join(cacheDir, "snippets-"));
  scratch = mkdtempSync(path.join(tmpdir(), "rulake-snippets-"));
  for (const { name, source } of programs) writeFileSync(path.join(folder, sourceOf(name)), source);
});

afterAll(() => {
  for (const directory of [folder, scratch]) rmSync(directory, { recursive: true, force: true });
});

function readOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(inRoot("tsconfig.json"), ts.sys.readFile);
  return ts.parseJsonConfigFileContent(config, ts.sys, inRoot()).options;
}

describe("code in documents", () => {
  it("is there", () => {
    expect(programs.length).toBeGreaterThan(10);
  });

  it("has the right types", () => {
    const files = programs.map(({ name }) => path.join(folder, sourceOf(name)));
    const options = { ...readOptions(), noUnusedLocals: false };
    const problems = ts.getPreEmitDiagnostics(ts.createProgram(files, options));
    const messages = problems.map(({ file, start = 0, messageText }) => {
      const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1;
      const where = file && path.basename(file.fileName);
      return `${where} line ${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
    expect(messages).toEqual([]);
  });

  it.each(programs)("$name runs and prints what it says", async ({ name, source, output }) => {
    const compilerOptions = {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      inlineSourceMap: true,
    };
    const { outputText } = ts.transpileModule(source, { compilerOptions, fileName: sourceOf(name) });
    const file = path.join(folder, sourceOf(name).replace(/\.mts$/, ".mjs"));
    writeFileSync(file, outputText);
    const cwd = mkdtempSync(path.join(scratch, "run-"));
    const running = run(process.execPath, ["--enable-source-maps", file], { cwd, ...limits });
    const { stdout } = await running.catch((error) => {
      const end = error.killed ? `killed after ${limits.timeout} ms` : "failed";
      throw new Error(`${end}: ${error.message}\nIt has printed:\n${error.stdout}`, { cause: error });
    });
    expect(stdout.split("\n").slice(0, -1)).toEqual(output);
  });
});
