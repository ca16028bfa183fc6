import { getEventListeners } from "node:events";
import { cpSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type RecordInput, RuLake, type RuLakeError, type Session, withRetry } from "rulake";
import { describe, expect, it } from "vitest";
import { bestOfThree } from "../timing.js";
import { failure, ids, noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();

describe.each([
  ["in memory", () => RuLake.open({ memory: true })],
  ["on disk", () => RuLake.open(scratch())],
])("a session %s", (_, open) => {
  it("commits to several collections at once, calls awaited or not", async () => {
    await using lake = await open();
    const inbox = await lake.collection("inbox");
    const archive = await lake.collection("archive");
    await inbox.upsert([
      { id: "m1", vector: [1, 0], metadata: { n: 1 } },
      { id: "m2", vector: [0, 1], metadata: { n: 2 } },
    ]);
    const answer = await lake.session(async (s) => {
      void s.collection("inbox").delete({ filter: { n: 1 } });
      void s.collection("archive").upsert([{ id: "m1", vector: [1, 0], text: "moved" }]);
      expect(await s.collection("inbox").count()).toBe(1);
      expect(ids(await s.collection("archive").search([1, 0]))).toEqual(["m1"]);
      expect(await s.collection("archive").get(["m1"])).toEqual([{ id: "m1", text: "moved" }]);
      expect([inbox.size, archive.size]).toEqual([2, 0]);
      return 7;
    });
    expect(answer).toBe(7);
    expect([inbox.size, archive.size]).toEqual([1, 1]);
  });

  it("never happened when its function throws, or a call nobody waited for fails", async () => {
    await using lake = await open();
    const docs = await lake.collection("docs");
    await expect(
      lake.session(async (s) => {
        await s.collection("docs").upsert([{ id: "a", vector: [1] }]);
        throw new RangeError("changed my mind");
      }),
    ).rejects.toThrow("changed my mind");
    const error = await failure(
      lake.session((s) => {
        void s.collection("docs").upsert([{ id: "a", vector: [1] }]);
        s.collection("docs")
          .upsert([{ id: "b", vector: [1, 2] }])
          .catch(() => {});
      }),
    );
    expect(error.code).toBe("DIMENSION_MISMATCH");
    expect(docs.size).toBe(0);
  });

  it("makes a collection only by writing to it, and only when it is committed", async () => {
    await using lake = await open();
    await lake.session(async (s) => {
      expect(await s.collection("read").count()).toBe(0);
      expect(await s.collection("read").search([1, 0])).toEqual([]);
      expect(await s.collection("read").delete({ all: true })).toEqual({ deleted: 0 });
      await s.collection("nothing").upsert([]);
    });
    const error = await failure(
      lake.session(async (s) => {
        await s.collection("written").upsert([{ id: "a", vector: [1, 0] }]);
        expect(await s.collection("written").count()).toBe(1);
        await s.collection("written").upsert([{ id: "b", vector: [1] }]);
      }),
    );
    expect(error.code).toBe("DIMENSION_MISMATCH");
    expect(await lake.list()).toEqual([]);
    await lake.session(async (s) => {
      await s.collection("one").upsert([{ id: "a", vector: [1, 0] }]);
      await s.collection("two").upsert([{ id: "a", vector: [1, 0] }]);
    });
    expect(await lake.list()).toEqual(["one", "two"]);
    expect((await lake.collection("two")).size).toBe(1);
  });

  it("loses against the first to commit, as a transient error", async () => {
    await using lake = await open();
    const docs = await lake.collection<{ n: number }>("docs");
    await docs.upsert([{ id: "counter", metadata: { n: 0 } }]);
    const error = await failure(
      lake.session(async (s) => {
        await s.collection("docs").upsert([{ id: "counter", metadata: { n: 1 } }]);
        await docs.upsert([{ id: "counter", metadata: { n: 5 } }]);
      }),
    );
    expect([error.code, error.category, error.isRetryable()]).toEqual(["CONFLICT", "transient", true]);
    expect(error.context).toMatchObject({ collection: "docs", id: "counter" });
    expect((await docs.get(["counter"]))[0]?.metadata).toEqual({ n: 5 });
  });

  it.each(["drop", "replace"] as const)("can run again after a %s of its collection", async (what) => {
    await using lake = await open();
    const end = async () => {
      if (what === "drop") await lake.drop("docs");
      else await lake.replace("docs", {}, (docs) => docs.upsert([{ id: "new" }]));
    };
    const errors: RuLakeError[] = [];
    await withRetry(
      async () => {
        await (await lake.collection("docs")).upsert([{ id: "a" }]);
        await lake.session(async (s) => {
          await s.collection("docs").upsert([{ id: "b" }]);
          await s.collection("other").upsert([{ id: "b" }]);
          // The commit tells of it, or a call before.
          if (errors.length === 0) await end();
          if (errors.length === 1) {
            const kept = await s.collection("docs").snapshot();
            await end();
            errors.push(await failure(kept.count()), await failure(s.collection("docs").count()));
          }
        });
      },
      { transientDelaysMs: [1, 1], onRetry: ({ error }) => errors.push(error as RuLakeError) },
    );
    expect(errors.length).toBe(4);
    for (const error of errors) {
      expect([error.code, error.isRetryable()]).toEqual(["CONFLICT", true]);
      expect(error.message).toContain("'docs' was dropped or replaced since the session began");
      expect(error.hint).toContain("withRetry()");
      expect(error.context).toMatchObject({ collection: "docs" });
    }
    expect((await lake.collection("docs")).size).toBe(what === "drop" ? 2 : 3);
  });

  it("may lose a collection that it has only read", async () => {
    await using lake = await open();
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "a" }]);
    await lake.session(async (s) => {
      const [found] = await s.collection("docs").get(["a"]);
      await lake.drop("docs");
      await s.collection("other").upsert([{ id: `copy of ${found?.id}` }]);
    });
    expect((await lake.collection("other")).size).toBe(1);
    expect((await failure(docs.count())).code).toBe("CLOSED");
  });

  it("gives what the async iterable of an upsert asks of it", async () => {
    await using lake = await open();
    const inbox = await lake.collection("inbox");
    await inbox.upsert([
      { id: "m1", vector: [1, 0], text: "one" },
      { id: "m2", vector: [0, 1] },
    ]);
    const seen: number[] = [];
    const { ids: moved } = await lake.session(async (s) => {
      return s.collection("archive").upsert(
        (async function* () {
          for (const id of ["m1", "m2"]) {
            const [record] = await s.collection("inbox").get([id], { include: ["vector", "text"] });
            await s.collection("inbox").delete({ ids: [id] });
            seen.push(await s.collection("archive").count());
            if (record !== undefined) yield record;
          }
        })(),
      );
    });
    expect([moved, seen, inbox.size]).toEqual([["m1", "m2"], [0, 0], 0]);
    expect(await (await lake.collection("archive")).get(["m1"])).toEqual([{ id: "m1", text: "one" }]);
  });

  it("lets calls pass an async iterable, batch by batch, and no other upsert", async () => {
    await using lake = await open();
    const seen: number[] = [];
    await lake.session(async (s) => {
      const docs = s.collection("docs");
      void docs.upsert([{ id: "x" }]);
      void docs.upsert(new Set([{ id: "y" }]));
      expect(await docs.count()).toBe(2);
      const written = docs.upsert(
        (async function* () {
          for (let n = 0; n < 20_001; n++) {
            if (n % 10_000 === 0) seen.push(await docs.count());
            yield { id: `r${n}` };
          }
        })(),
      );
      await docs.delete({ ids: ["x"] });
      expect((await written).ids.length).toBe(20_001);
      expect(await docs.count()).toBe(20_002);
    });
    expect(seen.slice(1)).toEqual([10_001, 20_001]);
    expect((await lake.collection("docs")).size).toBe(20_002);
  });

  it("lasts until the async iterables nobody waits for are read, whatever they ask", async () => {
    await using lake = await open();
    const docs = await lake.collection("docs");
    await docs.upsert([{ id: "a", text: "found" }]);
    await lake.session((s) => {
      void s.collection("copy").upsert(
        (async function* () {
          await sleep(5);
          yield* await s.collection("docs").get(["a"]);
          void s.collection("log").upsert([{ id: "late" }]);
        })(),
      );
    });
    expect(await (await lake.collection("copy")).get(["a"])).toEqual([{ id: "a", text: "found" }]);
    expect(await lake.list()).toEqual(["copy", "docs", "log"]);
  });

  it.each(["awaited", "caught", "left alone"])(
    "fails with an iterable that fails midway, %s",
    async (how) => {
      await using lake = await open();
      const docs = await lake.collection("docs");
      let closed = 0;
      async function* broken(last?: RecordInput) {
        try {
          for (let n = 0; n < 10_001; n++) yield { id: `r${n}` };
          if (last === undefined) throw new RangeError("broken");
          yield last;
        } finally {
          closed++;
        }
      }
      const session = (last?: RecordInput) =>
        lake.session(async (s) => {
          void s.collection("other").upsert([{ id: "a" }]);
          const written = s.collection("docs").upsert(broken(last));
          if (how === "awaited") await written;
          if (how === "caught") await written.catch(() => {});
        });
      await expect(session()).rejects.toThrow("broken");
      const error = await failure(session({ id: "" }));
      expect([error.code, error.context.committed]).toEqual(["INVALID_ID", undefined]);
      expect([closed, docs.size, await lake.list()]).toEqual([2, 0, ["docs"]]);
    },
  );

  it("ends with the signal of an upsert that is stuck", async () => {
    await using lake = await open();
    const docs = await lake.collection("docs");
    for (const awaited of [true, false]) {
      const control = new AbortController();
      const session = lake.session(async (s) => {
        const written = s.collection("docs").upsert(
          (async function* () {
            for (let n = 0; n < 10_000; n++) yield { id: `r${n}` };
            expect(await s.collection("docs").count()).toBe(10_000);
            setImmediate(() => control.abort(new Error("enough")));
            await new Promise(() => {});
          })(),
          { signal: control.signal },
        );
        if (awaited) await written;
      });
      await expect(session).rejects.toThrow("enough");
      expect([docs.size, getEventListeners(control.signal, "abort").length]).toEqual([0, 0]);
    }
    const wrong = lake.session((s) => void s.collection("docs").upsert([], { durability: "fsync" } as never));
    expect((await failure(wrong)).code).toBe("UNKNOWN_OPTION");
  });

  it("waits for no iterable once it has failed, and takes nothing from it then", async () => {
    await using lake = await open();
    let closed = false;
    const written: Promise<unknown>[] = [];
    async function* stuck(gate: Promise<void>) {
      try {
        yield { id: "a" };
        await gate;
        for (let n = 0; n < 20_000; n++) yield { id: `r${n}` };
      } finally {
        closed = true;
      }
    }
    for (const fail of [
      () => Promise.reject(new Error("changed my mind")),
      (s: Session) =>
        void s.collection("docs").upsert({
          [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("broken")) }),
        }),
    ]) {
      closed = false;
      // Made here: on a slow machine the upsert may only begin to read when its session has failed.
      let goOn: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const session = lake.session((s) => {
        written.push(s.collection("docs").upsert(stuck(gate)));
        return fail(s);
      });
      await expect(session).rejects.toThrow(/changed my mind|broken/);
      expect(closed).toBe(false);
      goOn();
      const late = await failure(written.pop() ?? Promise.resolve());
      expect([late.code, late.hint, closed]).toEqual(["CLOSED", expect.stringContaining("Await"), true]);
    }
    expect(await lake.list()).toEqual([]);
  });

  it("counts right when many increment at once and try again on conflict", async () => {
    await using lake = await open();
    const docs = await lake.collection<{ n: number }>("docs");
    await docs.upsert([{ id: "counter", metadata: { n: 0 } }]);
    let conflicts = 0;
    const increment = async (): Promise<void> => {
      for (;;) {
        try {
          await lake.session(async (s) => {
            const counters = s.collection<{ n: number }>("docs");
            const [counter] = await counters.get(["counter"]);
            await counters.upsert([{ id: "counter", metadata: { n: (counter?.metadata?.n ?? 0) + 1 } }]);
            await s.collection("log").upsert([{ text: "one more" }]);
          });
          return;
        } catch (error) {
          if ((error as { code?: string }).code !== "CONFLICT") throw error;
          conflicts++;
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, increment));
    expect((await docs.get(["counter"]))[0]?.metadata).toEqual({ n: 8 });
    expect(await (await lake.collection("log")).count()).toBe(8);
    expect(conflicts).toBeGreaterThan(0);
  });
});

it("is over when its function has returned", async () => {
  await using lake = await RuLake.open({ memory: true });
  let kept: Parameters<Parameters<typeof lake.session>[0]>[0] | undefined;
  await lake.session((s) => {
    kept = s;
  });
  const error = await failure(kept?.collection("docs").count() ?? Promise.resolve());
  expect(error.code).toBe("CLOSED");
});

it("is refused by a lake that was opened for reading", async () => {
  const place = scratch();
  await (await RuLake.open(place)).close();
  await using lake = await RuLake.open(place, { readOnly: true });
  expect((await failure(lake.session(() => {}))).code).toBe("READ_ONLY");
});

it("begins without holding up the event loop while a collection opens", bestOfThree, async () => {
  const place = scratch();
  const crashed = scratch();
  await using before = await RuLake.open(place);
  const vectors = noise(20_000 * 64);
  const records = Array.from({ length: 20_000 }, (_, n) => ({
    id: `r${n}`,
    vector: vectors.subarray(n * 64, (n + 1) * 64),
  }));
  await (await before.collection("docs")).upsert(records);
  // With a log that takes a while to replay.
  cpSync(place, crashed, { recursive: true });
  await using lake = await RuLake.open(crashed);
  const start = performance.now();
  const opening = lake.collection("docs").then(() => performance.now() - start);
  await sleep(5);
  const begin = performance.now();
  const session = lake.session(() => {});
  const heldUp = performance.now() - begin;
  await session;
  expect(heldUp).toBeLessThan((await opening) / 4);
});
