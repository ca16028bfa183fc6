import {
  ConfigError,
  EmbedError,
  OnnxEmbedder,
  type OnnxEmbedderOptions,
  RuLakeError,
} from "rulake/embeddings";
import { afterAll, describe, expect, it } from "vitest";
import { dot, failure, length, passages } from "./passages.js";

const embedder = new OnnxEmbedder({ workers: 2 });
afterAll(() => embedder.close());

describe("the default model", () => {
  it("describes itself before anything is loaded", () => {
    expect(embedder).toMatchObject({
      model: "all-MiniLM-L6-v2",
      dtype: "int8",
      dimensions: 384,
      maxTokens: 256,
    });
  });

  it("knows what is alike", async () => {
    const texts = ["a cat sat on the mat", "a kitten rests on a rug", "stock market crash"];
    const [cat, kitten, stock] = (await embedder.embedBatch(texts)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    expect(Math.abs(dot(cat, kitten) - 0.625)).toBeLessThan(0.02);
    expect(Math.abs(dot(cat, stock) - 0.088)).toBeLessThan(0.02);
    for (const vector of [cat, kitten, stock]) expect(length(vector)).toBeCloseTo(1, 6);
  });

  it("gives a text the same vector whatever it is embedded with", async () => {
    const texts = passages(64, [3, 9, 20, 45, 90, 160]);
    const together = await embedder.embedBatch(texts);
    const backwards = (await embedder.embedBatch([...texts].reverse())).reverse();
    expect(backwards).toEqual(together);
    for (const at of [0, 1, 2, 3, 4, 5, 31, 63]) {
      expect(await embedder.embed(texts[at] as string)).toEqual(together[at]);
    }
    const single = new OnnxEmbedder({ workers: 1 });
    expect(await single.embedBatch(texts)).toEqual(together);
    await single.close();
  });

  it("keeps the order of more texts than it sorts at a time", async () => {
    const texts = passages(1100, [1, 2, 3]);
    const vectors = await embedder.embedBatch(texts);
    expect(vectors).toHaveLength(1100);
    for (const at of [0, 500, 1023, 1024, 1099]) {
      expect(vectors[at]).toEqual(await embedder.embed(texts[at] as string));
    }
  });

  it("gives every vector its own memory", async () => {
    const [a, b] = (await embedder.embedBatch(["first", "second"])) as [Float32Array, Float32Array];
    expect(a.buffer).not.toBe(b.buffer);
    expect(a.byteLength).toBe(a.buffer.byteLength);
  });
});

describe("unusual texts", () => {
  it("takes none, an empty one, and characters that are not", async () => {
    expect(await embedder.embedBatch([])).toEqual([]);
    const empty = await embedder.embed("");
    expect(length(empty)).toBeCloseTo(1, 6);
    expect(await embedder.embed(" \n\t ")).toEqual(empty);
    expect(await embedder.embed("a \ud800 b")).toEqual(await embedder.embed("a \ufffd b"));
    expect(length(await embedder.embed("\u0000\u0001\uffff"))).toBeCloseTo(1, 6);
    expect(length(await embedder.embed("👩‍👩‍👧 漢字 ﷽ אבג"))).toBeCloseTo(1, 6);
  });

  it.each([[undefined], [null], [5], [["nested"]], [{ text: "x" }], [new String("boxed")]])(
    "refuses %s",
    async (value) => {
      const error = await failure(() => embedder.embedBatch(["fine", value as string]));
      expect(error).toMatchObject({ code: "INVALID_INPUT", category: "permanent", context: { index: 1 } });
      expect(EmbedError.isInstance(error)).toBe(true);
      expect(await failure(() => embedder.embed(value as string))).toMatchObject({ code: "INVALID_INPUT" });
    },
  );

  it("refuses a text in place of an array", async () => {
    expect(await failure(() => embedder.embedBatch("text" as unknown as string[]))).toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  it("copies the array, which the caller may change at once", async () => {
    const texts = ["one", "two", "three"];
    const promise = embedder.embedBatch(texts);
    texts.length = 0;
    expect(await promise).toHaveLength(3);
  });
});

describe("long texts", () => {
  const long = passages(1, 1000)[0] as string;

  it("leaves out the end by default, at the model's own limit and not at the tokenizer file's 128", async () => {
    const words = long.split(" ");
    const full = await embedder.embed(long);
    expect(await embedder.embed(words.slice(0, 254).join(" "))).toEqual(full);
    expect(await embedder.embed(words.slice(0, 253).join(" "))).not.toEqual(full);
    expect(await embedder.embed(words.slice(0, 126).join(" "))).not.toEqual(full);
  });

  it("looks at the head of a text of megabytes only", async () => {
    const huge = `${long} `.repeat(2000);
    expect(huge.length).toBeGreaterThan(10_000_000);
    const started = performance.now();
    expect(await embedder.embed(huge)).toEqual(await embedder.embed(long));
    expect(performance.now() - started).toBeLessThan(5000);
    const [first, second] = await embedder.embedBatch([huge, "short"]);
    expect(first).toEqual(await embedder.embed(long));
    expect(second).toEqual(await embedder.embed("short"));
  });

  it("refuses with truncate: 'error', and only then", async () => {
    const strict = new OnnxEmbedder({ workers: 2, truncate: "error", maxTokens: 12 });
    const error = await failure(() => strict.embedBatch(["short", "still short", long]));
    expect(error).toMatchObject({ code: "TEXT_TOO_LONG", context: { index: 2, maxTokens: 12 } });
    const fitting = "one two three four five six seven eight nine ten";
    expect(await strict.embed(fitting)).toEqual(await embedder.embed(fitting));
    expect(await failure(() => strict.embed(`${fitting} eleven`))).toMatchObject({ code: "TEXT_TOO_LONG" });
    await strict.close();
  });

  it("averages windows, weighted by their tokens", async () => {
    const average = new OnnxEmbedder({ workers: 2, truncate: "average", maxTokens: 12 });
    const words = long.split(" ").slice(0, 25);
    const windows = await embedder.embedBatch([0, 10, 20].map((at) => words.slice(at, at + 10).join(" ")));
    const expected = new Float64Array(384);
    [10, 10, 5].forEach((weight, n) => {
      windows[n]?.forEach((x, i) => {
        expected[i] = (expected[i] ?? 0) + weight * x;
      });
    });
    const vector = await average.embed(words.join(" "));
    expect(dot(vector, expected) / length(expected)).toBeCloseTo(1, 6);
    expect(length(vector)).toBeCloseTo(1, 6);
    expect(await average.embed("short text")).toEqual(await embedder.embed("short text"));
    await average.close();
  });
});

describe("options", () => {
  it("puts prefixes before queries and documents", async () => {
    const prefixed = new OnnxEmbedder({ workers: 2, prefixes: { query: "query: ", document: "passage: " } });
    expect(await prefixed.embed("rivers", { kind: "query" })).toEqual(await embedder.embed("query: rivers"));
    expect(await prefixed.embed("rivers", { kind: "document" })).toEqual(
      await embedder.embed("passage: rivers"),
    );
    expect(await prefixed.embed("rivers")).toEqual(await embedder.embed("passage: rivers"));
    await prefixed.close();
  });

  it("cuts and normalises again for fewer dimensions", async () => {
    const small = new OnnxEmbedder({ workers: 2, dimensions: 64 });
    expect(small.dimensions).toBe(64);
    const [cut, full] = [await small.embed("rivers"), await embedder.embed("rivers")];
    expect(cut).toHaveLength(64);
    expect(length(cut)).toBeCloseTo(1, 6);
    expect(dot(cut, full) / length(full.slice(0, 64))).toBeCloseTo(1, 6);
    await small.close();
  });

  it("leaves lengths alone with normalize: false", async () => {
    const raw = new OnnxEmbedder({ workers: 2, normalize: false });
    const vector = await raw.embed("rivers");
    expect(Math.abs(length(vector) - 1)).toBeGreaterThan(0.1);
    expect(dot(vector, await embedder.embed("rivers")) / length(vector)).toBeCloseTo(1, 6);
    await raw.close();
  });

  it.each<[object, string, string]>([
    [{ maxToken: 10 }, "UNKNOWN_OPTION", "did you mean 'maxTokens'?"],
    [{ modle: "x" }, "UNKNOWN_OPTION", "did you mean 'model'?"],
    [{ dims: 10 }, "UNKNOWN_OPTION", "unknown option 'dims'"],
    [{ prefixes: { querry: "x" } }, "UNKNOWN_OPTION", "did you mean 'query'?"],
    [{ workers: 0 }, "INVALID_OPTION", "'workers'"],
    [{ workers: "2" }, "INVALID_OPTION", "'workers'"],
    [{ maxTokens: 513 }, "INVALID_OPTION", "512"],
    [{ maxTokens: Number.NaN }, "INVALID_OPTION", "'maxTokens'"],
    [{ dimensions: 385 }, "INVALID_OPTION", "384"],
    [{ dimensions: 1.5 }, "INVALID_OPTION", "'dimensions'"],
    [{ pooling: "meen" }, "INVALID_OPTION", "did you mean 'mean'?"],
    [{ dtype: "int4" }, "INVALID_OPTION", "'int8'"],
    [{ truncate: true }, "INVALID_OPTION", "'truncate'"],
    [{ device: "gpu" }, "INVALID_OPTION", "'device'"],
    [{ normalize: "yes" }, "INVALID_OPTION", "'normalize'"],
    [{ model: "" }, "INVALID_OPTION", "'model'"],
    [{ cache: -1 }, "INVALID_OPTION", "'cache'"],
    [{ cache: { get() {} } }, "INVALID_OPTION", "'cache'"],
  ])("refuses %j", (options, code, part) => {
    let error: unknown;
    try {
      new OnnxEmbedder(options as OnnxEmbedderOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code, category: "permanent" });
    expect((error as Error).message).toContain(part);
    expect(ConfigError.isInstance(error) && RuLakeError.isInstance(error)).toBe(true);
  });

  it("refuses unknown options of calls", async () => {
    expect(await failure(() => embedder.embed("x", { kin: "query" } as object))).toMatchObject({
      code: "UNKNOWN_OPTION",
      message: expect.stringContaining("did you mean 'kind'?"),
    });
    expect(await failure(() => embedder.embed("x", { kind: "question" } as object))).toMatchObject({
      code: "INVALID_OPTION",
    });
    expect(await failure(() => embedder.embedBatch(["x"], { onProgress: 5 } as object))).toMatchObject({
      code: "INVALID_OPTION",
    });
  });
});

describe("cache", () => {
  it("remembers vectors, and hands out copies", async () => {
    const cached = new OnnxEmbedder({ workers: 2, cache: true });
    const first = await cached.embed("rivers");
    const expected = first.slice();
    first.fill(0);
    const again = await cached.embed("rivers");
    expect(again).toEqual(expected);
    again.fill(0);
    const [third, other] = await cached.embedBatch(["rivers", "mountains"]);
    expect(third).toEqual(expected);
    expect(other).toEqual(await embedder.embed("mountains"));
    await cached.close();
  });

  it("asks a store of the user's before embedding, with keys that tell models and kinds apart", async () => {
    const kept = new Map<string, Float32Array>();
    let hits = 0;
    const cache = {
      get: async (key: string) => {
        const vector = kept.get(key);
        if (vector !== undefined) hits++;
        return vector;
      },
      set: async (key: string, vector: Float32Array) => {
        kept.set(key, vector);
      },
    };
    const options = { workers: 2, cache, prefixes: { query: "query: " } };
    const cached = new OnnxEmbedder(options);
    const small = new OnnxEmbedder({ ...options, dimensions: 32 });
    const document = await cached.embed("rivers");
    expect(await cached.embed("rivers", { kind: "query" })).not.toEqual(document);
    expect(await small.embed("rivers")).toHaveLength(32);
    expect([kept.size, hits]).toEqual([3, 0]);
    const seen: number[] = [];
    const vectors = await cached.embedBatch(["new", "rivers"], { onProgress: ({ done }) => seen.push(done) });
    expect(vectors).toEqual([await embedder.embed("new"), document]);
    expect([kept.size, hits, seen]).toEqual([4, 1, [1, 2]]);
    await Promise.all([cached.close(), small.close()]);
  });
});

describe("close", () => {
  it("refuses further calls, ends those under way and can be repeated", async () => {
    const mine = new OnnxEmbedder({ workers: 2 });
    await mine.ready();
    const running = failure(() => mine.embedBatch(passages(2000, 20)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await mine.close();
    expect(await running).toMatchObject({ code: "CLOSED" });
    expect(await failure(() => mine.embed("x"))).toMatchObject({ code: "CLOSED", category: "permanent" });
    expect(await failure(() => mine.embedBatch([]))).toMatchObject({ code: "CLOSED" });
    await mine.close();
    expect(await embedder.embed("the other still works")).toHaveLength(384);
  });

  it("happens by itself with await using", async () => {
    let outer: OnnxEmbedder;
    {
      await using inner = new OnnxEmbedder({ workers: 2 });
      expect(await inner.embed("x")).toHaveLength(384);
      outer = inner;
    }
    expect(await failure(() => outer.embed("x"))).toMatchObject({ code: "CLOSED" });
  });
});
