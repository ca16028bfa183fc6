import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  DEFAULT_MODEL,
  EmbedError,
  knownModels,
  modelCacheDirectory,
  OnnxEmbedder,
  type OnnxEmbedderOptions,
  registerModel,
} from "rulake/embeddings";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure } from "./passages.js";
import { type TinyModel, tinyModelFolder } from "./tiny-model.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const minilm = join(root, "models", "minilm");
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
const make = (options: OnnxEmbedderOptions) => failure(() => new OnnxEmbedder(options));

const TABLE = [
  [0, 0, 0],
  [3, 4, 0],
  [0, 0, 2],
  [1, -8, 2],
];
const tokens: TinyModel = { table: TABLE };

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "rulake-cache-"));
  process.env.RULAKE_MODEL_CACHE = cache;
});
afterEach(() => {
  delete process.env.RULAKE_MODEL_CACHE;
  rmSync(cache, { recursive: true });
});

describe("lookup", () => {
  it("knows the default model by name, alias, package and folder", () => {
    const names = ["all-MiniLM-L6-v2", "ALL-minilm-l6-V2", "sentence-transformers/all-MiniLM-L6-v2"];
    for (const model of [...names, "@rulake/all-minilm-l6-v2", minilm, "./models/minilm"]) {
      expect(new OnnxEmbedder({ model })).toMatchObject({ dtype: "int8", dimensions: 384, maxTokens: 256 });
    }
    expect(DEFAULT_MODEL).toBe("all-MiniLM-L6-v2");
    expect(modelCacheDirectory()).toBe(cache);
  });

  it("pins the files of the default model's package", () => {
    const entry = knownModels().find((model) => model.name === DEFAULT_MODEL);
    expect(entry?.files?.length).toBeGreaterThan(3);
    for (const file of entry?.files ?? []) {
      const content = readFileSync(join(minilm, file.path));
      expect([file.path, file.bytes, file.sha256]).toEqual([file.path, content.length, sha256(content)]);
    }
  });

  it("says which name was meant", async () => {
    const error = await make({ model: "all-MiniLM-L12-v2" });
    expect(error).toMatchObject({ code: "MODEL_NOT_FOUND", category: "permanent" });
    expect(error.message).toContain("did you mean 'all-MiniLM-L6-v2'?");
    expect(error.hint).toContain("npm i @rulake/all-minilm-l6-v2");
    expect(EmbedError.isInstance(error)).toBe(true);
    expect((await make({ model: "zzz" })).message).not.toContain("did you mean");
  });

  it("says what to install, and where it looked", async () => {
    process.env.RULAKE_OFFLINE = "1";
    registerModel({
      name: "far-away",
      package: "@rulake/far-away",
      dimensions: 3,
      maxTokens: 9,
      files: [pinned()],
    });
    const error = await make({ model: "far-away" });
    delete process.env.RULAKE_OFFLINE;
    expect(error).toMatchObject({ code: "MODEL_NOT_FOUND", hint: "npm i @rulake/far-away" });
    expect((error.context as { looked: string[] }).looked).toContain("package @rulake/far-away");
  });

  it.each(["./no/such/folder", "/no/such/folder", "../..", "a/b/c", "C:\\models\\x", "..", "@x", "x y"])(
    "does not take %s for a model",
    async (model) => {
      expect((await make({ model })).code).toMatch(/^MODEL_(NOT_FOUND|INVALID)$/);
    },
  );

  it("prefers what was put into the cache directory to a download", async () => {
    cpSync(tinyModelFolder({ "onnx/model.onnx": tokens }), join(cache, "org", "cached-model"), {
      recursive: true,
    });
    await using embedder = new OnnxEmbedder({ model: "org/cached-model", normalize: false });
    expect(await embedder.embed("one two")).toEqual(Float32Array.of(1.5, 2, 1));
  });
});

describe("model folders", () => {
  it("takes the dtype that is there, fp32 first", async () => {
    const folder = tinyModelFolder({
      "onnx/model.onnx": tokens,
      "onnx/model_fp16.onnx": tokens,
      "onnx/model_quantized.onnx": { table: TABLE.map((row) => row.map((x) => -x)) },
    });
    expect(new OnnxEmbedder({ model: folder }).dtype).toBe("fp32");
    await using int8 = new OnnxEmbedder({ model: folder, dtype: "int8", normalize: false });
    expect([...(await int8.embed("one three"))]).toEqual([-2, 2, -1]);
    const error = await make({ model: tinyModelFolder({ "onnx/model_fp16.onnx": tokens }), dtype: "int8" });
    expect(error).toMatchObject({ code: "DTYPE_NOT_FOUND", context: { available: ["fp16"] } });
    expect(error.hint).toContain("fp16");
  });

  it("pools as asked, else as its files say, else by the mean", async () => {
    const folder = tinyModelFolder({ "onnx/model.onnx": tokens });
    const embed = async (options: OnnxEmbedderOptions) => {
      await using embedder = new OnnxEmbedder({ model: folder, normalize: false, ...options });
      return [...(await embedder.embed("one two three"))];
    };
    const third = Math.fround(4 / 3);
    expect(await embed({})).toEqual([third, -third, third]);
    expect(await embed({ pooling: "cls" })).toEqual([3, 4, 0]);
    expect(await embed({ pooling: "last" })).toEqual([1, -8, 2]);
    expect(await embed({ pooling: "max" })).toEqual([3, 4, 2]);
    expect(await embed({ pooling: "cls", dimensions: 2, normalize: true })).toEqual(
      [0.6, 0.8].map(Math.fround),
    );
    const cls = { "1_Pooling/config.json": { word_embedding_dimension: 3, pooling_mode_cls_token: true } };
    expect(await embed({ model: tinyModelFolder({ "onnx/model.onnx": tokens }, cls) })).toEqual([3, 4, 0]);
    expect(
      await embed({ model: tinyModelFolder({ "onnx/model.onnx": tokens }, cls), pooling: "last" }),
    ).toEqual([1, -8, 2]);
    const odd = { "1_Pooling/config.json": { pooling_mode_weightedmean_tokens: true } };
    expect(await make({ model: tinyModelFolder({ "onnx/model.onnx": tokens }, odd) })).toMatchObject({
      code: "MODEL_INVALID",
      message: expect.stringContaining("weightedmean"),
    });
  });

  it("takes an output of any name, half precision, pooled ones and 32-bit inputs too", async () => {
    for (const model of [
      { table: TABLE, outputName: "something" },
      { table: TABLE, ids: "int32" },
      { table: TABLE, half: true },
      { table: TABLE, output: "pooled" },
    ] satisfies TinyModel[]) {
      await using embedder = new OnnxEmbedder({
        model: tinyModelFolder({ "onnx/model.onnx": model }),
        normalize: false,
      });
      expect([...(await embedder.embed("one three"))]).toEqual("output" in model ? [3, 4, 2] : [2, -2, 1]);
    }
  });

  it("reads limits and prompts of sentence-transformers", async () => {
    const model = tinyModelFolder(
      { "onnx/model.onnx": tokens },
      {
        "sentence_bert_config.json": { max_seq_length: 2 },
        "config_sentence_transformers.json": { prompts: { query: "two ", passage: "" } },
      },
    );
    await using embedder = new OnnxEmbedder({ model, normalize: false });
    expect(embedder.maxTokens).toBe(2);
    expect([...(await embedder.embed("one three"))]).toEqual([2, -2, 1]);
    expect([...(await embedder.embed("one three", { kind: "query" }))]).toEqual([1.5, 2, 1]);
    expect([...(await embedder.embed("one one three three three"))]).toEqual([3, 4, 0]);
    const roberta = {
      "config.json": { hidden_size: 3, max_position_embeddings: 514, model_type: "xlm-roberta" },
    };
    expect(
      new OnnxEmbedder({ model: tinyModelFolder({ "onnx/model.onnx": tokens }, roberta) }).maxTokens,
    ).toBe(512);
  });

  it("says so when a device is not there", async () => {
    const model = tinyModelFolder({ "onnx/model.onnx": tokens });
    const device = process.platform === "darwin" ? "dml" : "coreml";
    await using embedder = new OnnxEmbedder({ model, device });
    expect(await failure(() => embedder.embed("one"))).toMatchObject({
      code: "DEVICE_UNAVAILABLE",
      category: "infrastructure",
      context: { device },
    });
  });

  it("gives zeros to a text without tokens, where the model has no special ones", async () => {
    await using embedder = new OnnxEmbedder({ model: tinyModelFolder({ "onnx/model.onnx": tokens }) });
    expect([...(await embedder.embed(""))]).toEqual([0, 0, 0]);
    expect([...(await embedder.embed("unknown"))]).toEqual([0, 0, 0]);
  });

  it("learns its dimensions from the first vector when the configuration does not tell", async () => {
    const model = tinyModelFolder({ "onnx/model.onnx": tokens }, { "config.json": undefined });
    await using embedder = new OnnxEmbedder({ model });
    expect(await failure(() => embedder.dimensions)).toMatchObject({ code: "DIMENSIONS_UNKNOWN" });
    await embedder.ready();
    expect(embedder.dimensions).toBe(3);
    await using greedy = new OnnxEmbedder({ model, dimensions: 4 });
    expect(await failure(() => greedy.embed("one"))).toMatchObject({ code: "INVALID_OPTION" });
  });

  it("refuses what is not a text embedding model", async () => {
    const embed = (model: TinyModel, files = {}) =>
      failure(async () => {
        await using embedder = new OnnxEmbedder({
          model: tinyModelFolder({ "onnx/model.onnx": model }, files),
        });
        await embedder.embed("one");
      });
    expect(await embed({ table: TABLE, inputName: "pixel_values" })).toMatchObject({ code: "MODEL_INVALID" });
    expect(await embed(tokens, { "config.json": { hidden_size: 5 } })).toMatchObject({
      code: "MODEL_INVALID",
      context: { expected: 5, found: 3 },
    });
    expect(await embed({ table: [[0], [Number.NaN]] }, { "config.json": {} })).toMatchObject({
      code: "INFERENCE_FAILED",
    });
    expect(await embed(tokens, { "config.json": "{ broken" })).toMatchObject({ code: "MODEL_INVALID" });
    expect(await make({ model: tinyModelFolder({}) })).toMatchObject({ code: "MODEL_INVALID" });
    const bare = tinyModelFolder({ "onnx/model.onnx": tokens }, { "tokenizer.json": undefined });
    expect(await make({ model: bare })).toMatchObject({
      code: "MODEL_INVALID",
      message: expect.stringContaining("tokenizer.json"),
    });
  });
});

function pinned(path = "onnx/model.onnx", url = "https://models.example/x", digest = "0".repeat(64)) {
  return { path, url, sha256: digest };
}

describe("download", () => {
  const folder = tinyModelFolder({ "onnx/model.onnx": tokens });
  const paths = ["tokenizer.json", "tokenizer_config.json", "config.json", "onnx/model.onnx"];
  let server: Server;
  let requests: string[] = [];
  let answer: (path: string) => Uint8Array | number = (path) => readFileSync(join(folder, path));
  const original = answer;

  const listening = new Promise<string>((resolve) => {
    server = createServer((request, response) => {
      const path = (request.url ?? "/").slice(1);
      requests.push(path);
      const content = answer(path);
      if (typeof content === "number") response.writeHead(content).end();
      else response.end(content);
    });
    server.listen(0, "127.0.0.1", () =>
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    );
  });
  beforeEach(async () => {
    requests = [];
    answer = original;
    const base = await listening;
    const files = paths.map((path) =>
      pinned(path, `${base}/${path}`, sha256(readFileSync(join(folder, path)))),
    );
    registerModel({ name: "on-the-hub", dimensions: 3, maxTokens: 64, files });
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it("happens at the first use, once, and is kept", async () => {
    const embedders = [1, 2, 3].map(
      (workers) => new OnnxEmbedder({ model: "on-the-hub", workers, normalize: false }),
    );
    expect(embedders[0]).toMatchObject({ dimensions: 3, dtype: "fp32", maxTokens: 64 });
    expect(requests).toEqual([]);
    const vectors = await Promise.all(embedders.map((embedder) => embedder.embed("one")));
    expect(vectors.map((vector) => [...vector])).toEqual([0, 1, 2].map(() => [3, 4, 0]));
    expect(requests).toEqual(paths);
    expect(readdirSync(cache)).toEqual(["on-the-hub"]);
    await Promise.all(embedders.map((embedder) => embedder.close()));
    await using again = new OnnxEmbedder({ model: "on-the-hub" });
    await again.ready();
    expect(requests).toHaveLength(paths.length);
  });

  it("refuses content that was changed, and leaves nothing behind", async () => {
    answer = (path) => (path === "config.json" ? Buffer.from('{"hidden_size":4}') : original(path));
    await using embedder = new OnnxEmbedder({ model: "on-the-hub" });
    const error = await failure(() => embedder.embed("one"));
    expect(error).toMatchObject({ code: "MODEL_DIGEST_MISMATCH", category: "permanent", name: "EmbedError" });
    expect(readdirSync(cache)).toEqual([]);
  });

  it("can be tried again after a failure", async () => {
    answer = () => 503;
    await using embedder = new OnnxEmbedder({ model: "on-the-hub", normalize: false });
    const error = await failure(() => embedder.embed("one"));
    expect(error).toMatchObject({ code: "MODEL_NOT_FOUND", category: "transient" });
    expect(error.message).toContain("503");
    answer = () => 404;
    expect(await failure(() => embedder.embed("one"))).toMatchObject({
      code: "MODEL_NOT_FOUND",
      category: "permanent",
    });
    answer = original;
    expect([...(await embedder.embed("one"))]).toEqual([3, 4, 0]);
    expect(existsSync(join(cache, "on-the-hub", "onnx", "model.onnx"))).toBe(true);
  });

  it("says what to install when the network is not there", async () => {
    const closed = pinned("onnx/model.onnx", "http://127.0.0.1:9/model.onnx");
    registerModel({
      name: "unreachable",
      package: "@rulake/unreachable",
      dimensions: 3,
      maxTokens: 9,
      files: [closed],
    });
    await using embedder = new OnnxEmbedder({ model: "unreachable" });
    const error = await failure(() => embedder.embed("one"));
    expect(error).toMatchObject({ code: "MODEL_NOT_FOUND", category: "transient" });
    expect(error.hint).toContain("npm i @rulake/unreachable");
  });

  it("rejects a call whose signal aborts meanwhile", async () => {
    answer = () => 503;
    await using embedder = new OnnxEmbedder({ model: "on-the-hub" });
    const controller = new AbortController();
    const call = failure(() => embedder.embed("one", { signal: controller.signal }));
    controller.abort("enough");
    expect(await call).toBe("enough");
  });

  it("is only offered with digests, over https, into the model's own folder", async () => {
    const register = (file: object) =>
      failure(() => registerModel({ name: "bad", dimensions: 3, maxTokens: 9, files: [file as never] }));
    expect(await register({ path: "a.onnx", url: "https://x.example/a" })).toMatchObject({
      code: "MODEL_NOT_PINNED",
    });
    expect(await register(pinned("a.onnx", "http://models.example/a"))).toMatchObject({
      code: "INVALID_OPTION",
    });
    expect(await register(pinned("../a.onnx"))).toMatchObject({ code: "INVALID_OPTION" });
    expect(await register(pinned("/a.onnx"))).toMatchObject({ code: "INVALID_OPTION" });
    expect(await failure(() => registerModel({ name: "../x", dimensions: 3, maxTokens: 9 }))).toMatchObject({
      code: "INVALID_OPTION",
    });
    expect(knownModels().map((model) => model.name)).not.toContain("bad");
  });
});

it("stays out of the core package", () => {
  mkdirSync(cache, { recursive: true });
  const core = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
  expect(core.files.some((path) => path.startsWith("models"))).toBe(false);
  const model = JSON.parse(readFileSync(join(minilm, "package.json"), "utf8")) as {
    license: string;
    files: string[];
  };
  expect(model.license).toBe("Apache-2.0");
  for (const file of readdirSync(minilm)) {
    expect(file === "package.json" || file === "LICENSE" || model.files.includes(file), file).toBe(true);
  }
});
