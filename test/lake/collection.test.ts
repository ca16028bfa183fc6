import { getEventListeners } from "node:events";
import { type Collection, RuLake } from "rulake";
import { describe, expect, it, vi } from "vitest";
import { failure, ids, memoryCollection, noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

async function onDisk(): Promise<Collection> {
  const lake = await RuLake.open(scratch());
  return lake.collection("docs");
}

const metadata = {
  z: 1,
  a: { "dotted.key": [1.5, null, true, "ü 😀 \ud800"], empty: {} },
  __proto__x: "ok",
  n: -0.1e-7,
  when: "2026-11-20T00:00:00.000Z",
};

describe.each([
  ["in memory", memoryCollection],
  ["on disk", onDisk],
])("a collection %s", (_, make) => {
  it("returns what was put in, unchanged", async () => {
    const docs = await make();
    const vector = new Float32Array([0.25, -1, 3]);
    const { ids, snapshot } = await docs.upsert([{ id: "a", vector, text: "hällo", metadata }]);
    expect(ids).toEqual(["a"]);
    expect(snapshot).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    const [record] = await docs.get(["a"], { include: ["vector", "text", "metadata"] });
    expect(record).toEqual({ id: "a", vector, text: "hällo", metadata });
    expect(JSON.stringify(record?.metadata)).toBe(JSON.stringify(metadata));
    expect(await docs.get(["a"], { include: [] })).toEqual([{ id: "a" }]);
    expect([docs.size, docs.dimensions, docs.metric]).toEqual([1, 3, "cosine"]);
  });

  it("makes ids for records without one", async () => {
    const docs = await make();
    const { ids } = await docs.upsert([{ vector: [1, 2] }, { vector: [2, 1] }]);
    expect(new Set(ids).size).toBe(2);
    expect(await docs.get(ids)).toHaveLength(2);
  });

  it("replaces by id, keeps one copy, and sorts snapshots by time", async () => {
    const docs = await make();
    const first = await docs.upsert([{ id: "a", vector: [1, 0], text: "old", metadata: { v: 1 } }]);
    const second = await docs.upsert([{ id: "a", vector: [0, 1] }]);
    expect(second.snapshot > first.snapshot).toBe(true);
    expect(docs.size).toBe(1);
    expect(await docs.get(["a"])).toEqual([{ id: "a" }]);
    const [hit] = await docs.search([0, 1], { k: 5 });
    expect(hit?.score).toBeCloseTo(1, 6);
  });

  it("copies what a generator yields, which may write into one array", async () => {
    const docs = await make();
    const vector = new Float32Array(3);
    function* records() {
      for (let i = 0; i < 700; i++) yield { id: `${i}`, vector: vector.fill(i) };
    }
    await docs.upsert(records());
    const found = await docs.get(["0", "1", "699"], { include: ["vector"] });
    expect(found.map((record) => record.vector?.[2])).toEqual([0, 1, 699]);
  });

  it("takes the last of several records with one id", async () => {
    const docs = await make();
    const { ids } = await docs.upsert([
      { id: "a", text: "1" },
      { id: "a", text: "2" },
    ]);
    expect(ids).toEqual(["a", "a"]);
    expect(await docs.get(["a"])).toEqual([{ id: "a", text: "2" }]);
  });

  it("reads iterables and async iterables, and reports progress", async () => {
    const docs = await make();
    function* some() {
      for (let i = 0; i < 10; i++) yield { id: `s${i}`, vector: [i, 1] };
    }
    async function* more() {
      for (let i = 0; i < 25_000; i++) yield { id: `m${i}`, vector: [i, 2] };
    }
    await docs.upsert(some());
    const seen: number[] = [];
    const { ids } = await docs.upsert(more(), { onProgress: ({ done }) => seen.push(done) });
    expect(ids).toHaveLength(25_000);
    expect(docs.size).toBe(25_010);
    expect(seen, "full batches, then the rest").toEqual([10_000, 20_000, 25_000]);
    expect(await docs.upsert([])).toMatchObject({ ids: [] });
  });

  it("skips missing ids and keeps the order asked for", async () => {
    const docs = await make();
    await docs.upsert(["a", "b", "c"].map((id) => ({ id, vector: [1, 2] })));
    expect(ids(await docs.get(["c", "x", "a", "c"]))).toEqual(["c", "a", "c"]);
    expect(await docs.get([])).toEqual([]);
  });

  it("deletes by ids, by filter and all", async () => {
    const docs = await make();
    await docs.upsert(
      Array.from({ length: 10 }, (_, n) => ({ id: `r${n}`, vector: [n, 1], metadata: { n } })),
    );
    expect((await docs.delete({ ids: ["r0", "r0", "none"] })).deleted).toBe(1);
    expect((await docs.delete({ filter: { n: { $gte: 8 } } })).deleted).toBe(2);
    expect(await docs.count()).toBe(7);
    expect(await docs.count({ n: { $lt: 3 } })).toBe(2);
    expect((await docs.delete({ all: true })).deleted).toBe(7);
    expect(docs.size).toBe(0);
    expect(await docs.search([1, 2])).toEqual([]);
  });

  it("refuses a delete that says nothing or too much", async () => {
    const docs = await make();
    await docs.upsert([{ id: "a", vector: [1] }]);
    expect((await failure(docs.delete({} as never))).code).toBe("INVALID_OPTION");
    expect((await failure(docs.delete(undefined as never))).code).toBe("INVALID_OPTION");
    expect((await failure(docs.delete({ ids: [], all: true } as never))).code).toBe("INVALID_OPTION");
    expect((await failure(docs.delete({ all: false } as never))).code).toBe("INVALID_OPTION");
    expect((await failure(docs.delete({ filter: {} }))).code).toBe("INVALID_FILTER");
    expect((await failure(docs.delete({ filter: { a: undefined } }))).code).toBe("INVALID_FILTER");
    expect((await failure(docs.delete({ id: ["a"] } as never))).message).toContain("did you mean 'ids'");
    expect(docs.size).toBe(1);
  });

  it("searches by similarity, with ties in order of upsert", async () => {
    const docs = await make();
    await docs.upsert([
      { id: "far", vector: [-1, 0] },
      { id: "tie1", vector: [2, 2] },
      { id: "tie2", vector: [5, 5] },
      { id: "zero", vector: [0, 0] },
      { id: "text", text: "no vector" },
    ]);
    const hits = await docs.search([1, 1], { k: 10 });
    expect(ids(hits)).toEqual(["tie1", "tie2", "zero", "far"]);
    expect(hits.map((hit) => hit.score + hit.distance).every((sum) => Math.abs(sum - 1) < 1e-9)).toBe(true);
    expect(ids(await docs.search([1, 1], { k: 1 }))).toEqual(["tie1"]);
    expect(ids(await docs.search([1, 1], { minScore: -0.1 }))).toEqual(["tie1", "tie2", "zero"]);
    const [first] = await docs.search(new Float32Array([1, 1]), { k: 1, include: ["vector"] });
    expect(first?.vector).toEqual(new Float32Array([2, 2]));
  });

  it("answers a batch in order, each like a search of its own", async () => {
    const docs = await make();
    const vectors = Array.from({ length: 300 }, (_, i) => noise(64, i + 1));
    await docs.upsert(vectors.map((vector, i) => ({ id: `r${i}`, vector })));
    const answers = await docs.searchBatch(vectors, { k: 3 });
    expect(answers.map((hits) => hits[0]?.id)).toEqual(vectors.map((_, i) => `r${i}`));
    expect(answers[7]).toEqual(await docs.search(vectors[7] as Float32Array, { k: 3 }));
    expect(await docs.searchBatch([])).toEqual([]);
  });

  it("trades relevance for variety", async () => {
    const docs = await make();
    await docs.upsert([
      { id: "best", vector: [1, 0, 0] },
      { id: "copy", vector: [1, 0.001, 0] },
      { id: "other", vector: [0.7, 0.7, 0] },
    ]);
    const query = [1, 0.1, 0];
    expect(ids(await docs.search(query, { k: 2 }))).toEqual(["copy", "best"]);
    const varied = await docs.search(query, { k: 2, mmr: { lambda: 0.3 } });
    expect(ids(varied)).toEqual(["copy", "other"]);
    expect(varied[0]?.vector, "only if asked for").toBeUndefined();
    expect(ids(await docs.search(query, { k: 2, mmr: { lambda: 1 } }))).toEqual(["copy", "best"]);
  });

  it("scans in order of upsert, and keeps the state it started with", async () => {
    const docs = await make();
    await docs.upsert(
      Array.from({ length: 2500 }, (_, n) => ({ id: `r${n}`, text: `t${n}`, metadata: { n } })),
    );
    await docs.upsert([{ id: "r0", text: "again", metadata: { n: 0 } }]);
    const seen: string[] = [];
    for await (const record of docs.scan({ chunkSize: 100 })) {
      if (seen.length === 10) await docs.delete({ all: true });
      seen.push(record.id);
    }
    expect(seen).toEqual([...Array.from({ length: 2499 }, (_, n) => `r${n + 1}`), "r0"]);
    for await (const _ of docs.scan()) throw new Error("nothing is left");
  });

  it("scans what matches and can be left early", async () => {
    const docs = await make();
    await docs.upsert(
      Array.from({ length: 100 }, (_, n) => ({ id: `r${n}`, vector: [n, 1], metadata: { n } })),
    );
    const seen = [];
    for await (const record of docs.scan({ filter: { n: { $gte: 50 } }, include: ["vector"] })) {
      seen.push(record);
      if (seen.length === 3) break;
    }
    expect(seen[0]).toEqual({ id: "r50", vector: new Float32Array([50, 1]) });
    expect(ids(seen)).toEqual(["r50", "r51", "r52"]);
  });

  it("changes to codes as it grows", async () => {
    const docs = await make();
    const vectors = noise(6000 * 16);
    const row = (i: number) => vectors.subarray(i * 16, (i + 1) * 16);
    await docs.upsert(Array.from({ length: 3000 }, (_, i) => ({ id: `r${i}`, vector: row(i) })));
    expect((await docs.stats()).index).toBe("FlatF32Index");
    await docs.upsert(
      Array.from({ length: 3000 }, (_, i) => ({ id: `r${i + 3000}`, vector: row(i + 3000) })),
    );
    await expect.poll(async () => (await docs.stats()).index, { timeout: 30_000 }).toBe("RabitqPlusIndex");
    const found = await docs.searchBatch([10, 2999, 3000, 5999].map(row), { k: 1 });
    expect(found.map(([hit]) => hit?.id)).toEqual(["r10", "r2999", "r3000", "r5999"]);
    expect(await docs.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe("bad input changes nothing", () => {
  const good = { id: "good", vector: [1, 2, 3] };
  const bad: [string, unknown, string, string?][] = [
    ["no object", 7, "INVALID_RECORD"],
    ["an array", [1, 2, 3], "INVALID_RECORD"],
    ["an empty id", { id: "", vector: [1, 2, 3] }, "INVALID_ID"],
    ["a numeric id", { id: 7, vector: [1, 2, 3] }, "INVALID_ID"],
    ["a long id", { id: "x".repeat(1025), vector: [1, 2, 3] }, "INVALID_ID"],
    ["half a character as id", { id: "\ud800", vector: [1, 2, 3] }, "INVALID_ID"],
    ["other dimensions", { vector: [1, 2] }, "DIMENSION_MISMATCH"],
    ["an empty vector", { vector: [] }, "INVALID_RECORD"],
    ["NaN", { vector: [1, Number.NaN, 3] }, "NOT_FINITE"],
    ["infinity after rounding", { vector: [1, 1e39, 3] }, "NOT_FINITE"],
    ["a string in a vector", { vector: [1, "2", 3] }, "INVALID_ARGUMENT"],
    ["a Float64Array", { vector: new Float64Array(3) }, "INVALID_ARGUMENT", "Float32Array.from"],
    ["too large a norm", { vector: [1e18, 0, 0] }, "NORM_OUT_OF_RANGE", "above about 1e36"],
    ["too small a norm", { vector: [1e-15, 0, 0] }, "NORM_OUT_OF_RANGE", "below about 1e-30"],
    ["a numeric text", { vector: [1, 2, 3], text: 7 }, "INVALID_RECORD"],
    ["metadata that is an array", { vector: [1, 2, 3], metadata: [] }, "INVALID_RECORD"],
    ["metadata that is no JSON", { vector: [1, 2, 3], metadata: { n: 1n } }, "INVALID_RECORD"],
    ["metadata with another JSON form", { metadata: new Date() }, "INVALID_RECORD"],
    ["a misspelt part", { vectors: [1, 2, 3] }, "INVALID_RECORD", "did you mean 'vector'?"],
  ];

  it.each(bad)("%s", async (_, record, code, text) => {
    const docs = await memoryCollection();
    await docs.upsert([good]);
    const error = await failure(docs.upsert([{ id: "new", vector: [3, 2, 1] }, record] as never));
    expect(error.code).toBe(code);
    expect(error.name).toBe("LakeError");
    if (text !== undefined) expect(`${error.message} ${error.hint}`).toContain(text);
    expect(docs.size).toBe(1);
    expect((await docs.upsert([{ id: "later", vector: [1, 1, 1] }])).ids).toEqual(["later"]);
  });

  it("in options and arguments", async () => {
    const docs = await memoryCollection();
    await docs.upsert([good]);
    const code = async (work: Promise<unknown>) => (await failure(work)).code;
    expect(await code(docs.upsert("text" as never))).toBe("INVALID_ARGUMENT");
    expect(await code(docs.upsert({} as never))).toBe("INVALID_ARGUMENT");
    expect(await code(docs.upsert([], { durabilty: "fsync" } as never))).toBe("UNKNOWN_OPTION");
    expect(await code(docs.upsert([], { durability: "later" } as never))).toBe("INVALID_OPTION");
    expect(await code(docs.get("good" as never))).toBe("INVALID_ARGUMENT");
    expect(await code(docs.get([1] as never))).toBe("INVALID_ARGUMENT");
    expect(await code(docs.search([1, 2]))).toBe("DIMENSION_MISMATCH");
    expect(await code(docs.search([1, 2, 3, 1, 2, 3]))).toBe("DIMENSION_MISMATCH");
    expect(await code(docs.search([1, 2, Number.NaN]))).toBe("NOT_FINITE");
    expect(await code(docs.search([1, 2, 3], { k: 0 }))).toBe("INVALID_K");
    expect(await code(docs.search([1, 2, 3], { k: 1.5 }))).toBe("INVALID_K");
    expect(await code(docs.search([1, 2, 3], { recallTarget: 2 }))).toBe("INVALID_OPTION");
    expect(await code(docs.search([1, 2, 3], { include: ["vectors"] } as never))).toBe("INVALID_OPTION");
    expect(await code(docs.search([1, 2, 3], { filters: {} } as never))).toBe("UNKNOWN_OPTION");
    expect(await code(docs.search([1, 2, 3], { mmr: { lambda: 2 } }))).toBe("INVALID_OPTION");
    expect(await code(docs.search("[1,2,3]" as never))).toBe("INVALID_ARGUMENT");
    expect(await code(docs.count({ a: { $gtt: 1 } } as never))).toBe("INVALID_FILTER");
    expect(await code(docs.scan({ chunkSize: 0 }).next())).toBe("INVALID_OPTION");
    expect((await failure(docs.get([], { includes: [] } as never))).hint).toBe("The only option is include.");
    expect((await failure(docs.upsert([], null as never))).hint).toContain("durability");
    expect((await failure(docs.get("good" as never))).hint).toBe("Write [id].");
    expect((await failure(docs.upsert({ id: "a" } as never))).hint).toBe("Write [record].");
  });

  const noResult = { next: () => 7, return: () => ({}) };
  const noSource = {
    "an iterator that is no method": { [Symbol.iterator]: 5 },
    "an async iterator that is no method": { [Symbol.asyncIterator]: 5 },
    "a number as its iterator": { [Symbol.iterator]: () => 5 },
    "nothing as its async iterator": { [Symbol.asyncIterator]: () => undefined },
    "an iterator without next": { [Symbol.iterator]: () => ({}) },
    "a next that is no method": { [Symbol.asyncIterator]: () => ({ next: 5 }) },
    "a result that is none": { [Symbol.iterator]: () => noResult },
    "an async result that is none": { [Symbol.asyncIterator]: () => ({ next: async () => undefined }) },
    "a result that should be a promise": { [Symbol.asyncIterator]: () => noResult },
  };

  it.each(Object.entries(noSource))("%s", async (_, source) => {
    const docs = await memoryCollection();
    const { signal } = new AbortController();
    for (const options of [{}, { signal }]) {
      const error = await failure(docs.upsert(source as never, options));
      expect([error.code, error.name]).toEqual(["INVALID_ARGUMENT", "LakeError"]);
      expect(error.message).toMatch(/^Collection\.upsert\(\): .*records.* must be /);
    }
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("but what a source throws is passed on, and it is closed", async () => {
    const docs = await memoryCollection();
    const thrown = new TypeError("the source's own");
    const throwing = {
      next: () => {
        throw thrown;
      },
    };
    for (const source of [
      { [Symbol.iterator]: () => throwing },
      { [Symbol.asyncIterator]: () => throwing },
    ]) {
      await expect(docs.upsert(source as never)).rejects.toBe(thrown);
    }
    for (const name of [Symbol.iterator, Symbol.asyncIterator]) {
      const close = vi.fn(() => {
        throw thrown;
      });
      const source = { [name]: () => ({ next: () => ({ value: 7, done: false }), return: close }) };
      expect((await failure(docs.upsert(source as never))).code).toBe("INVALID_RECORD");
      expect(close).toHaveBeenCalledTimes(1);
    }
  });
});

describe("an upsert that is stopped", () => {
  it("before it starts changes nothing", async () => {
    const docs = await memoryCollection();
    const signal = AbortSignal.abort(new Error("no"));
    await expect(docs.upsert([{ vector: [1] }], { signal })).rejects.toThrow("no");
    await expect(docs.search([1], { signal })).rejects.toThrow("no");
    expect(docs.size).toBe(0);
  });

  it("or an exception of onProgress stops nothing that is committed", async () => {
    const docs = await memoryCollection();
    const control = new AbortController();
    const warnings: unknown[] = [];
    const listen = (warning: Error & { code?: string }) => warnings.push(warning.code);
    process.on("warning", listen);
    const onProgress = () => {
      control.abort(new Error("too late"));
      throw new Error("the bar broke");
    };
    const { signal } = control;
    const { ids } = await docs.upsert([{ id: "a", vector: [1, 2] }], { signal, onProgress });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", listen);
    expect(ids).toEqual(["a"]);
    expect(warnings).toEqual(["RULAKE_PROGRESS"]);
    function* source(count: number) {
      for (let i = 0; i < count; i++) yield { id: `b${i}`, vector: [i, 1] };
    }
    await expect(docs.upsert(source(10_001), { onProgress })).rejects.toThrow("the bar broke");
    expect(docs.size, "one batch and no more").toBe(10_001);
    const late = new AbortController();
    const full = docs.upsert(source(10_000), { signal: late.signal, onProgress: () => late.abort() });
    await expect(full, "nothing is left to stop").resolves.toMatchObject({ snapshot: expect.any(String) });
  });

  it("keeps the batches committed before, and closes its source", async () => {
    const docs = await memoryCollection();
    const control = new AbortController();
    let closed = false;
    async function* endless() {
      try {
        for (let i = 0; ; i++) yield { id: `r${i}`, vector: [i, 1] };
      } finally {
        closed = true;
      }
    }
    const stop = () => control.abort(new Error("enough"));
    const upsert = docs.upsert(endless(), { signal: control.signal, onProgress: stop });
    await expect(upsert).rejects.toThrow("enough");
    expect(docs.size).toBeGreaterThanOrEqual(10_000);
    expect(closed).toBe(true);
  });

  it("does not wait for a source that is stuck, and keeps what was committed", async () => {
    const docs = await memoryCollection();
    const control = new AbortController();
    let fail: (error: Error) => void = () => {};
    let closed = false;
    async function* stuck() {
      try {
        for (let i = 0; i < 10_000; i++) yield { id: `r${i}` };
        yield { id: "late" };
        setImmediate(() => control.abort(new Error("enough")));
        await new Promise((_, reject) => {
          fail = reject;
        });
      } finally {
        closed = true;
      }
    }
    await expect(docs.upsert(stuck(), { signal: control.signal })).rejects.toThrow("enough");
    expect([docs.size, closed]).toEqual([10_000, false]);
    // An unhandled rejection would fail the test run.
    fail(new Error("nobody is told"));
    await new Promise((later) => setImmediate(later));
    expect(closed).toBe(true);
  });

  it("asks a source by hand to close, whatever that does", async () => {
    const docs = await memoryCollection();
    for (const close of [() => new Promise<never>(() => {}), () => Promise.reject(new Error("stuck"))]) {
      const control = new AbortController();
      const closing = vi.fn(close);
      const source = {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            setImmediate(() => control.abort(new Error("enough")));
            return new Promise<never>(() => {});
          },
          return: closing,
        }),
      };
      await expect(docs.upsert(source, { signal: control.signal })).rejects.toThrow("enough");
      expect(closing).toHaveBeenCalledTimes(1);
    }
  });

  it("listens to its signal once, and no longer than it takes", async () => {
    const docs = await memoryCollection();
    const control = new AbortController();
    const { signal } = control;
    const [add, remove] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    const source = async function* (last: object) {
      for (let i = 0; i < 25_000; i++) yield { id: `r${i}` };
      yield last;
    };
    await docs.upsert(source({ id: "last" }), { signal });
    expect([add.mock.calls.length, getEventListeners(signal, "abort").length]).toEqual([1, 0]);
    expect((await failure(docs.upsert(source({ id: "" }), { signal }))).code).toBe("INVALID_ID");
    const broken = (async function* () {
      yield* source({ id: "last" });
      throw new Error("broken");
    })();
    await expect(docs.upsert(broken, { signal })).rejects.toThrow("broken");
    expect([add.mock.calls.length, getEventListeners(signal, "abort").length]).toEqual([3, 0]);
    expect(remove).toHaveBeenCalled();
  });

  it("says how many records are committed", async () => {
    const docs = await memoryCollection();
    function* source() {
      for (let i = 0; i < 12_000; i++) yield { id: `r${i}`, vector: [i, 1] };
      yield { id: "bad", vector: [1, 2, 3] };
    }
    const error = await failure(docs.upsert(source()));
    expect(error.code).toBe("DIMENSION_MISMATCH");
    expect(error.context.committed).toBe(docs.size);
    expect(docs.size).toBeGreaterThanOrEqual(10_000);
  });
});
