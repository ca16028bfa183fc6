import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "rulake-package-"));
let tarball: string;

beforeAll(async () => {
  const args = ["pack", "--ignore-scripts", "--json", "--loglevel=error", "--pack-destination", scratch];
  const { stdout } = await run("npm", args, { cwd: root, shell: process.platform === "win32" });
  tarball = path.join(scratch, (JSON.parse(stdout) as { filename: string }[])[0]?.filename ?? "");
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** What npm installs with the package. */
const regular = Object.keys(
  (JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { dependencies: object })
    .dependencies,
);

/** A project with the packed package, its dependencies, and nothing else but what is named. */
async function project(name: string, packages: string[]): Promise<string> {
  const directory = path.join(scratch, name);
  const installed = path.join(directory, "node_modules", "rulake");
  mkdirSync(installed, { recursive: true });
  writeFileSync(path.join(directory, "package.json"), "{}");
  await run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
  for (const wanted of [...regular, ...packages]) {
    const target = path.join(directory, "node_modules", wanted);
    mkdirSync(path.dirname(target), { recursive: true });
    symlinkSync(path.join(root, "node_modules", wanted), target, "junction");
  }
  return directory;
}

async function runScript(directory: string, file: string, source: string): Promise<string> {
  writeFileSync(path.join(directory, file), source);
  // A checkout's own settings have no place here.
  const { RULAKE_NATIVE_PATH: _, NODE_PATH: __, ...env } = process.env;
  const { stdout } = await run(process.execPath, [file], { cwd: directory, env });
  return stdout.trim();
}

const langchain = `
  class Letters extends Embeddings {
    constructor() { super({}); }
    async embedDocuments(texts) { return texts.map((text) => this.vector(text)); }
    async embedQuery(text) { return this.vector(text); }
    vector(text) { return [..."abcdefgh"].map((letter) => text.split(letter).length - 1); }
  }
  const main = async () => {
    const store = await RuLakeVectorStore.open("./lake/docs", new Letters());
    await store.addDocuments([
      { pageContent: "aaa bbb", metadata: { lang: "en" } },
      { pageContent: "cab", metadata: { lang: "de" } },
      { pageContent: "hedge", metadata: { lang: "en" } },
    ], ["1", "2", "3"]);
    const found = await store.asRetriever({ k: 5, filter: { lang: "en" } }).invoke("ab");
    console.log(found.map((document) => document.id).join(), store instanceof VectorStore, store.size);
    await store.close();
  };
  main();
`;

const llamaindex = `
  class Letters extends BaseEmbedding {
    constructor() { super(); }
    async getTextEmbedding(text) { return [..."abcdefgh"].map((letter) => text.split(letter).length - 1); }
  }
  const main = async () => {
    const store = await RuLakeVectorStore.open("./lake/docs", { embedModel: new Letters() });
    const index = await VectorStoreIndex.fromVectorStore(store);
    await index.insert(new Document({ id_: "1", text: "aaa bbb" }));
    await index.insert(new Document({ id_: "2", text: "hedge" }));
    const [found] = await index.asRetriever({ similarityTopK: 1 }).retrieve({ query: "ab" });
    console.log(found.node.sourceNode.nodeId, found.node instanceof TextNode, store.size);
    await store.close();
  };
  main();
`;

const onnx = `
  import { OnnxEmbeddings, RuLakeVectorStore } from "rulake/langchain";
  const store = await RuLakeVectorStore.open("./lake/docs", new OnnxEmbeddings());
  await store.addDocuments([
    { pageContent: "The keys are rotated every ninety days.", metadata: { lang: "en" } },
    { pageContent: "Rye bread bakes for an hour.", metadata: { lang: "en" } },
  ]);
  const [answer] = await store.asRetriever({ k: 1, filter: { lang: "en" } }).invoke("how do I bake?");
  console.log(answer.pageContent);
  await store.close();
`;

const agents = `
  const main = async () => {
    const server = createServer((request, response) => {
      if (request.url === "/stream") return response.write(": open");
      const { port } = server.address();
      response.end(JSON.stringify({
        name: "Echo",
        supportedInterfaces: [
          { url: "http://127.0.0.1:" + port, protocolBinding: "JSONRPC", protocolVersion: "1.0" },
        ],
      }));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = "http://127.0.0.1:" + server.address().port;
    const network = { allowLoopback: true };
    const { fetch, close } = createGuardedFetch({ network });
    const { card } = await discoverAgent(url, { fetch });
    const response = await fetch(url + "/stream");
    const failure = await A2APeer.connect(url, { network }).catch((error) => error.code + " " + error.hint);
    console.log(card.name, response.status, failure);
    await response.body.cancel();
    // The connection that is kept for the next request does not keep the process, nor does an answer left unread.
    await (await fetch(url)).text();
    await fetch(url);
    server.close();
    server.closeAllConnections();
    const done = performance.now();
    process.on("exit", () => {
      if (performance.now() - done > 1_000) console.log("something kept the process");
    });
  };
  main();
`;

describe("the packed package", () => {
  it("works with @langchain/core alone, in ESM and in CJS", async () => {
    const directory = await project("langchain", ["@langchain/core"]);
    const esm = `import { Embeddings } from "@langchain/core/embeddings";
      import { VectorStore } from "@langchain/core/vectorstores";
      import { RuLakeVectorStore } from "rulake/langchain";${langchain}`;
    expect(await runScript(directory, "main.mjs", esm)).toBe("1,3 true 3");
    const cjs = `const { Embeddings } = require("@langchain/core/embeddings");
      const { VectorStore } = require("@langchain/core/vectorstores");
      const { RuLakeVectorStore } = require("rulake/langchain");${langchain}`;
    expect(await runScript(directory, "main.cjs", cjs)).toBe("1,3 true 3");
    expect(existsSync(path.join(directory, "lake"))).toBe(true);
  });

  it("works with llamaindex alone, in ESM and in CJS", async () => {
    const directory = await project("llamaindex", ["llamaindex"]);
    const names = "BaseEmbedding, Document, TextNode, VectorStoreIndex";
    const esm = `import { ${names} } from "llamaindex";
      import { RuLakeVectorStore } from "rulake/llamaindex";${llamaindex}`;
    expect(await runScript(directory, "main.mjs", esm)).toBe("1 true 2");
    const cjs = `const { ${names} } = require("llamaindex");
      const { RuLakeVectorStore } = require("rulake/llamaindex");${llamaindex.replaceAll("./lake/docs", "./lake/cjs")}`;
    expect(await runScript(directory, "main.cjs", cjs)).toBe("1 true 2");
  });

  it("embeds with the model package", async () => {
    const packages = ["@langchain/core", "onnxruntime-node", "@rulake/all-minilm-l6-v2"];
    const directory = await project("onnx", packages);
    expect(await runScript(directory, "main.mjs", onnx)).toBe("Rye bread bakes for an hour.");
  });

  it("says what to install when the runtime of the embeddings is missing", async () => {
    const directory = await project("bare", ["@langchain/core", "@rulake/all-minilm-l6-v2"]);
    const failure = await runScript(directory, "main.mjs", onnx).then(
      () => "",
      (error: { stderr?: string }) => error.stderr ?? "",
    );
    expect(failure).toContain("RUNTIME_NOT_FOUND");
    expect(failure).toContain("onnxruntime-node");
  });

  it("finds agents without the SDK, in ESM and in CJS, and says what to install for talking to them", async () => {
    const directory = await project("agents", []);
    const names = "A2APeer, createGuardedFetch, discoverAgent";
    const esm = `import { createServer } from "node:http";
      import { ${names} } from "rulake/agents";${agents}`;
    const cjs = `const { createServer } = require("node:http");
      const { ${names} } = require("rulake/agents");${agents}`;
    const expected = "Echo 200 A2A_SDK_NOT_INSTALLED npm install @a2a-js/sdk";
    expect(await runScript(directory, "main.mjs", esm)).toBe(expected);
    expect(await runScript(directory, "main.cjs", cjs)).toBe(expected);
  });

  it("opens with the root entry alone what an adapter wrote", async () => {
    const directory = path.join(scratch, "langchain");
    const source = `import { RuLake } from "rulake";
      const lake = await RuLake.open("./lake");
      const docs = await lake.collection("docs");
      console.log((await lake.list()).join(), docs.size, (await docs.get(["2"]))[0].text);
      await lake.close();`;
    expect(await runScript(directory, "root.mjs", source)).toBe("docs 3 cab");
  });
});
