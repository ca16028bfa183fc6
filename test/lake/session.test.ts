import { cpSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RuLake, type RuLakeError, withRetry } from "rulake";
import { describe, expect, it } from "vitest";
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

it("begins without holding up the event loop while a collection opens", async () => {
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
