import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/** Runs Node.js on a piece of code; a process that hangs is killed and has no exit code. */
function node(flags: string[], code: string, cwd = root): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, "-e", code],
      { cwd, timeout: 30_000 },
      (_, out, err) => {
        resolve({ code: child.exitCode, out: out.trim(), err: err.trim() });
      },
    );
  });
}

const ESM = ["--input-type=module"];
const CJS = ["--input-type=commonjs"];

it("ends by itself when embedders are left open", async () => {
  const code = `
    import { OnnxEmbedder } from "rulake/embeddings";
    const embedder = new OnnxEmbedder({ workers: 2 });
    const vectors = await embedder.embedBatch(Array.from({ length: 40 }, (_, i) => "text " + i));
    console.log(vectors.length, vectors[39].length);`;
  expect(await node(ESM, code)).toEqual({ code: 0, out: "40 384", err: "" });
});

it("ends by itself when an embedder was made and never used", async () => {
  const code = `import { OnnxEmbedder } from "rulake/embeddings"; console.log(new OnnxEmbedder().dimensions);`;
  expect(await node(ESM, code)).toEqual({ code: 0, out: "384", err: "" });
});

it("stays until a call that nobody awaits is answered", async () => {
  const code = `
    import { OnnxEmbedder } from "rulake/embeddings";
    new OnnxEmbedder().embed("x").then((vector) => console.log(vector.length));`;
  expect(await node(ESM, code)).toEqual({ code: 0, out: "384", err: "" });
});

it("can be closed and ended in the middle of work", async () => {
  const code = `
    import { OnnxEmbedder } from "rulake/embeddings";
    const embedder = new OnnxEmbedder({ workers: 2 });
    const texts = Array.from({ length: 5000 }, (_, i) => "a longer text about number " + i);
    const running = embedder.embedBatch(texts).catch((error) => error.code);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await embedder.close();
    console.log(await running);
    const other = new OnnxEmbedder({ workers: 2 });
    other.embedBatch(texts);
    setTimeout(() => process.exit(7), 500);`;
  expect(await node(ESM, code)).toEqual({ code: 7, out: "CLOSED", err: "" });
});

it.each([0, 60, 120, 180, 250, 400])("survives process.exit() %i ms into loading and work", async (ms) => {
  const code = `
    import { OnnxEmbedder } from "rulake/embeddings";
    new OnnxEmbedder({ workers: 3 }).embedBatch(Array.from({ length: 3000 }, (_, i) => "number " + i));
    setTimeout(() => process.exit(5), ${ms});`;
  expect(await node(ESM, code)).toEqual({ code: 5, out: "", err: "" });
});

it("lets an error that nobody catches end the process as usual", async () => {
  const code = `
    import { OnnxEmbedder } from "rulake/embeddings";
    new OnnxEmbedder({ workers: 2 }).embedBatch(Array.from({ length: 3000 }, (_, i) => "number " + i));
    setTimeout(() => { throw new Error("elsewhere"); }, 400);`;
  const { code: exit, err } = await node(ESM, code);
  expect(exit).toBe(1);
  expect(err).toContain("elsewhere");
  expect(err).not.toContain("Napi");
});

it("loads and works from CommonJS, all three entries sharing one embedder", async () => {
  const code = `
    const { OnnxEmbedder } = require("rulake/embeddings");
    const { OnnxEmbeddings } = require("rulake/langchain");
    const { OnnxEmbedding } = require("rulake/llamaindex");
    (async () => {
      const embedder = new OnnxEmbedder({ workers: 1 });
      const vectors = [
        Array.from(await embedder.embed("x")),
        await new OnnxEmbeddings(embedder).embedQuery("x"),
        await new OnnxEmbedding({ embedder }).getTextEmbedding("x"),
      ];
      console.log(vectors.every((vector) => vector.length === 384 && vector[5] === vectors[0][5]));
    })();`;
  expect(await node(CJS, code)).toMatchObject({ code: 0, out: "true" });
});

it("gives the same vectors from ESM and CommonJS, whose embedders work in one another's faces", async () => {
  const code = `
    import { createRequire } from "node:module";
    import { OnnxEmbedder } from "rulake/embeddings";
    const { OnnxEmbeddings } = createRequire(process.cwd() + "/")("rulake/langchain");
    const embedder = new OnnxEmbedder({ workers: 1 });
    const [a, b] = [await embedder.embed("x"), await new OnnxEmbeddings({ workers: 1 }).embedQuery("x")];
    const c = await new OnnxEmbeddings(embedder).embedQuery("x");
    console.log(b.every((value, i) => value === a[i] && value === c[i]));`;
  expect(await node(ESM, code)).toEqual({ code: 0, out: "true", err: "" });
});

it("loads neither a framework nor onnxruntime with the module or an embedder", async () => {
  const code = `
    const { OnnxEmbedder } = require("rulake/embeddings");
    new OnnxEmbedder();
    const loaded = Object.keys(require.cache).filter((file) => /onnxruntime|langchain|llamaindex|huggingface/.test(file));
    console.log(JSON.stringify(loaded.filter((file) => file.includes("node_modules"))));`;
  expect(await node(CJS, code)).toEqual({ code: 0, out: "[]", err: "" });
});

it("says what to install when onnxruntime-node is missing", async () => {
  const project = mkdtempSync(join(tmpdir(), "rulake-project-"));
  const modules = join(project, "node_modules");
  const require = createRequire(import.meta.url);
  mkdirSync(join(modules, "rulake"), { recursive: true });
  cpSync(join(root, "dist"), join(modules, "rulake", "dist"), { recursive: true });
  cpSync(join(root, "package.json"), join(modules, "rulake", "package.json"));
  const tokenizers = dirname(dirname(require.resolve("@huggingface/tokenizers")));
  cpSync(tokenizers, join(modules, "@huggingface", "tokenizers"), { recursive: true });
  cpSync(join(root, "models", "minilm"), join(modules, "@rulake", "all-minilm-l6-v2"), { recursive: true });
  const body = `
    const embedder = new OnnxEmbedder({ workers: 2 });
    const errors = await Promise.allSettled([embedder.embed("x"), embedder.embedBatch(["x", "y"]), embedder.ready()]);
    const { reason } = errors[0];
    console.log(errors.every((one) => one.reason.code === "RUNTIME_NOT_FOUND"), EmbedError.isInstance(reason), reason.hint);`;
  const expected = { code: 0, out: "true true npm i onnxruntime-node", err: "" };
  expect(
    await node(ESM, `import { EmbedError, OnnxEmbedder } from "rulake/embeddings"; ${body}`, project),
  ).toEqual(expected);
  const common = `const { EmbedError, OnnxEmbedder } = require("rulake/embeddings"); (async () => {${body}})();`;
  expect(await node(CJS, common, project)).toEqual(expected);
  rmSync(project, { recursive: true });
});
