import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import vm from "node:vm";
import {
  type BuildOptions,
  ConfigError,
  FlatF32Index,
  IndexError,
  loadIndex,
  RabitqIndex,
  RabitqIvfIndex,
  RabitqPlusIndex,
  RuLakeError,
  recommend,
} from "rulake";
import { beforeAll, describe, expect, it } from "vitest";
import { clustered } from "./dataset.js";

const dimensions = 4;
const vectors = clustered(6, dimensions);
const query = vectors.slice(0, dimensions);

/** Runs a call that must fail and returns its error, whether thrown or rejected. */
async function failure(call: () => unknown): Promise<RuLakeError> {
  try {
    await call();
  } catch (error) {
    if (RuLakeError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

/** What a program without types may pass. */
const untyped = <T>(value: unknown) => value as T;

let index: RabitqPlusIndex;
beforeAll(async () => {
  index = await RabitqPlusIndex.build(vectors, { dimensions });
});

const build = (options: unknown, matrix: unknown = vectors) =>
  RabitqPlusIndex.build(untyped<Float32Array>(matrix), untyped<BuildOptions>(options));

describe("build refuses", () => {
  const withNumber = (number: number) => {
    const copy = vectors.slice();
    copy[9] = number;
    return copy;
  };
  it.each<[string, () => unknown, string, RegExp]>([
    ["no options", () => build(undefined), "INVALID_DIMENSIONS", /not undefined/],
    ["options that are a number", () => build(4), "INVALID_OPTION", /options/],
    ["no dimensions", () => build({}), "INVALID_DIMENSIONS", /dimensions/],
    ["0 dimensions", () => build({ dimensions: 0 }), "INVALID_DIMENSIONS", /not 0/],
    ["8193 dimensions", () => build({ dimensions: 8193 }), "INVALID_DIMENSIONS", /8192/],
    ["1.5 dimensions", () => build({ dimensions: 1.5 }), "INVALID_DIMENSIONS", /1\.5/],
    ["dimensions as text", () => build({ dimensions: "4" }), "INVALID_DIMENSIONS", /"4"/],
    [
      "an unknown option",
      () => build({ dimensions, metrik: "l2" }),
      "UNKNOWN_OPTION",
      /did you mean 'metric'/,
    ],
    [
      "an unknown metric",
      () => build({ dimensions, metric: "cosin" }),
      "INVALID_OPTION",
      /did you mean 'cosine'/,
    ],
    ["a metric that is no text", () => build({ dimensions, metric: 3 }), "INVALID_OPTION", /metric/],
    ["bits 4", () => build({ dimensions, bits: 4 }), "INVALID_OPTION", /1, 5 or 8/],
    ["a negative seed", () => build({ dimensions, seed: -1 }), "INVALID_OPTION", /seed/],
    ["rerankFactor 0", () => build({ dimensions, rerankFactor: 0 }), "INVALID_OPTION", /rerankFactor/],
    ["rerankFactor 1025", () => build({ dimensions, rerankFactor: 1025 }), "INVALID_OPTION", /1024/],
    ["a signal that is none", () => build({ dimensions, signal: {} }), "INVALID_OPTION", /AbortSignal/],
    ["a listener that is none", () => build({ dimensions, onProgress: 1 }), "INVALID_OPTION", /function/],
    ["rows of arrays", () => build({ dimensions }, [[1, 2, 3, 4]]), "INVALID_ARGUMENT", /Float32Array/],
    ["a Float64Array", () => build({ dimensions }, new Float64Array(8)), "INVALID_ARGUMENT", /Float64Array/],
    ["nothing", () => build({ dimensions }, null), "INVALID_ARGUMENT", /null/],
    [
      "part of a row",
      () => build({ dimensions }, new Float32Array(7)),
      "DIMENSION_MISMATCH",
      /multiple of 4.* got 7/,
    ],
    ["NaN", () => build({ dimensions }, withNumber(Number.NaN)), "NOT_FINITE", /vector 2 .*NaN.* position 1/],
    ["Infinity", () => build({ dimensions }, withNumber(-Infinity)), "NOT_FINITE", /-inf/i],
    [
      "a long vector",
      () => build({ dimensions }, withNumber(2e18)),
      "NORM_OUT_OF_RANGE",
      /e36, above about 1e36/,
    ],
    [
      "a short vector for a cosine",
      () => build({ dimensions }, Float32Array.of(1, 0, 0, 0, 0, 9e-16, 0, 0)),
      "NORM_OUT_OF_RANGE",
      /vector 1 .*8\.1\d*e-31, below about 1e-30/,
    ],
    ["too few ids", () => build({ dimensions, ids: [1, 2] }), "ID_COUNT_MISMATCH", /2 ids for 6/],
    ["ids that are no list", () => build({ dimensions, ids: 5 }), "INVALID_ARGUMENT", /ids/],
    [
      "a fractional id",
      () => build({ dimensions, ids: [0, 1, 2.5, 3, 4, 5] }),
      "INVALID_ID",
      /ids\[2\].*2\.5/,
    ],
    ["an id as text", () => build({ dimensions, ids: [0, "1", 2, 3, 4, 5] }), "INVALID_ID", /ids\[1\].*"1"/],
    ["an unsafe id", () => build({ dimensions, ids: [0, 1, 2, 3, 4, 2 ** 53] }), "INVALID_ID", /ids\[5\]/],
    [
      "an unsafe bigint",
      () => build({ dimensions, ids: BigUint64Array.of(0n, 1n, 2n, 3n, 4n, 2n ** 60n) }),
      "INVALID_ID",
      /1152921504606846976n/,
    ],
    [
      "a hole in the ids",
      () => build({ dimensions, ids: Array.of(0, 1).concat(new Array(4)) }),
      "INVALID_ID",
      /ids\[2\].*undefined/,
    ],
    ["an id twice", () => build({ dimensions, ids: [0, 1, 2, 1, 4, 5] }), "DUPLICATE_ID", /id 1 /],
    [
      "bits for a flat index",
      () => FlatF32Index.build(vectors, untyped({ dimensions, bits: 5 })),
      "INVALID_OPTION",
      /bits/,
    ],
    [
      "rerankFactor without rows",
      () => RabitqIndex.build(vectors, untyped({ dimensions, rerankFactor: 2 })),
      "INVALID_OPTION",
      /rerankFactor/,
    ],
  ])("%s", async (_, call, code, message) => {
    const error = await failure(call);
    expect(error).toMatchObject({ code, category: "permanent" });
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^\w+Index\.build: /);
    const config = ["INVALID_OPTION", "UNKNOWN_OPTION", "INVALID_DIMENSIONS"].includes(code);
    expect(error).toBeInstanceOf(config ? ConfigError : IndexError);
    expect(error.isRetryable()).toBe(false);
  });

  it("no zero vector, nor a short one where no cosine is taken", async () => {
    const short = Float32Array.of(0, 0, 0, 0, 0, 9e-16, 0, 0);
    expect((await build({ dimensions }, new Float32Array(8))).size).toBe(2);
    for (const metric of ["l2", "ip"]) expect((await build({ dimensions, metric }, short)).size).toBe(2);
  });

  it("an array whose memory was transferred", async () => {
    const gone = vectors.slice();
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    for (const call of [
      () => build({ dimensions }, gone),
      () => index.search(gone, 1),
      () => index.add([1], gone),
      () => index.searchBatch(gone, 1),
    ]) {
      expect(await failure(call)).toMatchObject({
        code: "INVALID_ARGUMENT",
        hint: expect.stringContaining("transfer"),
      });
    }
  });
});

describe("search refuses", () => {
  const ways: [string, (query: unknown, k: unknown, options?: unknown) => unknown][] = [
    ["search", (q, k, o) => index.search(untyped(q), untyped(k), untyped(o))],
    ["searchSync", (q, k, o) => index.searchSync(untyped(q), untyped(k), untyped(o))],
    ["searchBatch", (q, k, o) => index.searchBatch(untyped(q), untyped(k), untyped(o))],
  ];
  describe.each(ways)("in %s", (name, way) => {
    it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "3", null, undefined, 3n, [1]])(
      "k = %s",
      async (k) => {
        const error = await failure(() => way(query, k));
        expect(error).toMatchObject({ code: "INVALID_K", name: "IndexError" });
        expect(error.message).toMatch(new RegExp(`^RabitqPlusIndex\\.${name}: k must be`));
      },
    );

    it.each<[string, unknown, string]>([
      ["an unknown option", { filterId: [1] }, "UNKNOWN_OPTION"],
      ["a filter that is no list", { filterIds: 1 }, "INVALID_ARGUMENT"],
      ["a filter of texts", { filterIds: ["a"] }, "INVALID_ID"],
      ["a filter of fractions", { filterIds: new Set([1.5]) }, "INVALID_ID"],
      ["recallTarget 0", { recallTarget: 0 }, "INVALID_OPTION"],
      ["recallTarget 2", { recallTarget: 2 }, "INVALID_OPTION"],
      ["recallTarget as text", { recallTarget: "1" }, "INVALID_OPTION"],
      ["rerankFactor 1.5", { rerankFactor: 1.5 }, "INVALID_OPTION"],
      ["options that are a list", [], "INVALID_OPTION"],
    ])("%s", async (_, options, code) => {
      expect(await failure(() => way(query, 1, options))).toMatchObject({ code });
    });

    it("a query with NaN", async () => {
      expect(await failure(() => way(Float32Array.of(1, 2, Number.NaN, 3), 1))).toMatchObject({
        code: "NOT_FINITE",
        context: { position: 2 },
      });
    });

    it("a query of another length", async () => {
      expect(await failure(() => way(new Float32Array(5), 1))).toMatchObject({
        code: "DIMENSION_MISMATCH",
        context: { expected: 4, got: 5 },
      });
    });
  });

  it.each<[string, unknown, string]>([
    ["too few numbers", [1, 2], "DIMENSION_MISMATCH"],
    ["texts", [1, 2, "3", 4], "INVALID_ARGUMENT"],
    ["a text", "1234", "INVALID_ARGUMENT"],
    ["nothing", undefined, "INVALID_ARGUMENT"],
    ["a Float64Array", new Float64Array(4), "INVALID_ARGUMENT"],
    ["a number too large for f32", [1, 2, 1e300, 4], "NOT_FINITE"],
  ])("a query that is %s", async (_, given, code) => {
    expect(await failure(() => index.search(untyped(given), 1))).toMatchObject({ code });
    expect(await failure(() => index.searchSync(untyped(given), 1))).toMatchObject({ code });
  });

  it.each<[string, unknown, unknown, string]>([
    ["empty arrays", new Float64Array(0), new Float32Array(0), "INVALID_K"],
    ["arrays of two lengths", new Float64Array(3), new Float32Array(2), "INVALID_ARGUMENT"],
    ["ids that are Float32Array", new Float32Array(3), new Float32Array(3), "INVALID_ARGUMENT"],
    ["plain arrays", [0], [0], "INVALID_ARGUMENT"],
  ])("searchInto with %s", async (_, ids, distances, code) => {
    const error = await failure(() => index.searchInto(query, untyped(ids), untyped(distances)));
    expect(error).toMatchObject({ code });
  });
});

describe("changes are refused whole", () => {
  it.each<[string, unknown, unknown, string]>([
    ["NaN in the last row", [7, 8], Float32Array.of(1, 2, 3, 4, 5, 6, 7, Number.NaN), "NOT_FINITE"],
    ["an id twice", [7, 7], new Float32Array(8), "DUPLICATE_ID"],
    ["too many ids", [7, 8, 9], new Float32Array(8), "ID_COUNT_MISMATCH"],
    ["a bad id", [7, 0.5], new Float32Array(8), "INVALID_ID"],
    ["part of a row", [7, 8], new Float32Array(7), "DIMENSION_MISMATCH"],
    ["swapped arguments", new Float32Array(8), [7, 8], "INVALID_ARGUMENT"],
  ])("%s", async (_, ids, rows, code) => {
    expect(await failure(() => index.add(untyped(ids), untyped(rows)))).toMatchObject({ code });
    expect(index.size).toBe(6);
    expect(index.has(7)).toBe(false);
  });

  it("bad ids to delete or to look up", async () => {
    expect(await failure(() => index.delete([0, Number.NaN]))).toMatchObject({ code: "INVALID_ID" });
    expect(await failure(() => index.delete(untyped(3)))).toMatchObject({
      code: "INVALID_ARGUMENT",
      hint: "Write [3].",
    });
    expect(await failure(() => index.delete(untyped(undefined)))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await failure(() => index.get(0.5))).toMatchObject({ code: "INVALID_ID" });
    expect(await failure(() => index.has(untyped("1")))).toMatchObject({ code: "INVALID_ID" });
    expect(index.size).toBe(6);
  });

  it("a failed change does not hold up the next", async () => {
    const other = await FlatF32Index.build(vectors, { dimensions });
    const first = other.add([1, 1], new Float32Array(8));
    const second = other.delete([2]);
    await expect(first).rejects.toMatchObject({ code: "DUPLICATE_ID" });
    expect(await second).toBe(1);
  });
});

describe("paths and options of files", () => {
  it.each([undefined, "", "a\0b", 5, new URL("https://example.com/x")])("path %s", async (path) => {
    expect(await failure(() => index.save(untyped(path)))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await failure(() => loadIndex(untyped(path)))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("options", async () => {
    expect(await failure(() => loadIndex("x", untyped({ verify: "some" })))).toMatchObject({
      code: "INVALID_OPTION",
    });
    expect(await failure(() => index.save("x", untyped({ overwrite: true })))).toMatchObject({
      code: "UNKNOWN_OPTION",
    });
  });
});

describe("a closed index", () => {
  it("fails with CLOSED everywhere, and closes again in peace", async () => {
    const closed = await FlatF32Index.build(vectors, { dimensions });
    closed.close();
    closed.close();
    const calls: (() => unknown)[] = [
      () => closed.search(query, 1),
      () => closed.searchSync(query, 1),
      () => closed.searchInto(query, new Float64Array(1), new Float32Array(1)),
      () => closed.searchBatch(query, 1),
      () => closed.add([1], query),
      () => closed.delete([1]),
      () => closed.get(1),
      () => closed.has(1),
      () => [...closed],
      () => closed.save("never"),
      () => closed.size,
      () => closed.memoryBytes,
      () => closed.stats(),
    ];
    for (const call of calls)
      expect(await failure(call)).toMatchObject({ code: "CLOSED", name: "IndexError" });
    expect(closed.closed).toBe(true);
    expect(String(closed)).toBe("FlatF32Index(closed)");
  });

  it("comes from using declarations, after the changes under way", async () => {
    const sync = await FlatF32Index.build(vectors, { dimensions });
    sync[Symbol.dispose]();
    expect(sync.closed).toBe(true);
    const later = await FlatF32Index.build(vectors, { dimensions });
    const change = later.delete([1]);
    await later[Symbol.asyncDispose]();
    expect(await change).toBe(1);
    expect(later.closed).toBe(true);
  });

  it("finishes what was begun before: searches, copies of input, and changes that wait", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rulake-closed-"));
    const file = path.join(folder, "index");
    const other = await FlatF32Index.build(vectors, { dimensions });
    const n = other.size;
    const many = Array.from({ length: 100_000 }, (_, i) => i);
    const { signal } = new AbortController();
    const begun = [
      other.search(query, 1),
      other.search(query, 1, { signal }),
      other.search(query, 1, { filterIds: many }),
      other.searchBatch(query, 1, { filterIds: many }),
      other.explain(query, 1),
      other.delete([1]),
      other.delete([2, ...many.slice(n)]),
      other.add([n], query),
      other.save(file),
    ];
    other.close();
    expect(await failure(() => other.search(query, 1))).toMatchObject({ code: "CLOSED" });
    const [found, watched, filtered, batch, plan, first, second] = await Promise.all(begun);
    expect([watched, filtered]).toEqual([found, found]);
    expect(batch).toMatchObject({ k: 1 });
    expect(plan).toMatchObject({ k: 1 });
    expect([first, second]).toEqual([1, 1]);
    const saved = await loadIndex(file);
    expect(saved.size).toBe(n - 2 + 1);
    saved.close();
    rmSync(folder, { recursive: true });
  });
});

describe("arrays of other kinds", () => {
  it("from another realm", async () => {
    const foreign = vm.runInNewContext(
      "({ vectors: Float32Array.of(1, 0, 0, 1), query: Float32Array.of(0, 1), numbers: [0, 1], ids: [5, 6], set: new Set([5]) })",
    );
    const other = await FlatF32Index.build(foreign.vectors, { dimensions: 2, ids: foreign.ids });
    expect((await other.search(foreign.query, 1))[0]?.id).toBe(6);
    expect(other.searchSync(foreign.numbers, 1)[0]?.id).toBe(6);
    expect((await other.search(foreign.query, 1, { filterIds: foreign.set }))[0]?.id).toBe(5);
  });

  it("on shared memory, on parts of a buffer, and on one that can grow", async () => {
    const shared = new Float32Array(new SharedArrayBuffer(96));
    shared.set(vectors);
    const part = new Float32Array(new ArrayBuffer(200), 8, 24);
    part.set(vectors);
    const growing = new Float32Array(
      Reflect.construct(ArrayBuffer, [96, { maxByteLength: 4096 }]) as ArrayBuffer,
    );
    growing.set(vectors);
    const plain = await index.search(query, 6);
    for (const matrix of [shared, part, growing]) {
      const other = await RabitqPlusIndex.build(matrix, { dimensions });
      expect(await other.search(matrix.subarray(0, dimensions), 6)).toEqual(plain);
      expect(other.searchSync(matrix.subarray(0, dimensions), 6)).toEqual(plain);
    }
  });

  it("are copied before the call returns", async () => {
    const mine = vectors.slice();
    const building = FlatF32Index.build(mine, { dimensions });
    mine.fill(0);
    const other = await building;
    const asked = query.slice();
    const searching = other.search(asked, 1, { filterIds: [0, 1], signal: new AbortController().signal });
    asked.fill(0);
    expect((await searching)[0]).toMatchObject({ id: 0 });
    expect(other.get(0)).toEqual(query);
  });
});

describe("recommend", () => {
  it("grows with the data", () => {
    expect(recommend(1000, 384)).toMatchObject({
      index: "flat",
      kind: "FlatF32Index",
      options: { dimensions: 384 },
      expected: { recall: 1 },
    });
    const large = recommend(1_000_000, 384, 0.99);
    expect(large).toMatchObject({ index: "rabitq-ivf", options: { bits: 5 } });
    expect(large.why).toMatch(/\w+ \w+/);
    expect(large.expected.recall).toBeGreaterThanOrEqual(0.99);
    expect(recommend(40_000, 384, 0.99)).toMatchObject({ index: "rabitq-plus", options: { bits: 5 } });
    expect(recommend(40_000, 384, 0.9)).toMatchObject({ index: "rabitq-asym", options: { bits: 5 } });
  });

  it("gives options that build accepts", async () => {
    const { options } = recommend(100_000_000, dimensions, 0.99);
    expect((await RabitqIvfIndex.build(vectors, options)).size).toBe(6);
  });

  it("refuses nonsense", async () => {
    expect(await failure(() => recommend(-1, 384))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await failure(() => recommend(10, 0))).toMatchObject({ code: "INVALID_DIMENSIONS" });
    expect(await failure(() => recommend(10, 4, 1.5))).toMatchObject({ code: "INVALID_OPTION" });
  });
});
