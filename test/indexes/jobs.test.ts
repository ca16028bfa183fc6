import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { FlatF32Index, type Progress, RabitqPlusIndex } from "rulake";
import { describe, expect, it } from "vitest";
import { noise, row } from "./dataset.js";

const dimensions = 128;
const n = 60_000;
const vectors = noise(n, dimensions);

describe("a signal", () => {
  it("that is aborted already rejects every call at once, with its reason", async () => {
    const index = await FlatF32Index.build(vectors.subarray(0, 10 * dimensions), { dimensions });
    const reason = new Error("not today");
    const signal = AbortSignal.abort(reason);
    await expect(FlatF32Index.build(vectors, { dimensions, signal })).rejects.toBe(reason);
    await expect(FlatF32Index.load("nowhere", { signal })).rejects.toBe(reason);
    await expect(index.search(row(vectors, dimensions, 0), 1, { signal })).rejects.toBe(reason);
    await expect(index.searchBatch(vectors, 1, { signal })).rejects.toBe(reason);
    await expect(index.add([99], row(vectors, dimensions, 0), { signal })).rejects.toBe(reason);
    await expect(index.save("nowhere/index", { signal })).rejects.toBe(reason);
    expect(index.size).toBe(10);
  });

  it("stops a build while it copies", async () => {
    const controller = new AbortController();
    const building = RabitqPlusIndex.build(vectors, { dimensions, signal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(building).rejects.toMatchObject({ name: "AbortError" });
  });

  it("stops a build while it encodes, and an add without a trace", async () => {
    const index = await RabitqPlusIndex.build(vectors.subarray(0, 100 * dimensions), { dimensions });
    const ids = Float64Array.from({ length: n }, (_, i) => i + 1000);
    for (const start of [
      (signal: AbortSignal, onProgress: (p: Progress) => void) =>
        RabitqPlusIndex.build(vectors, { dimensions, signal, onProgress }),
      (signal: AbortSignal, onProgress: (p: Progress) => void) =>
        index.add(ids, vectors, { signal, onProgress }),
    ]) {
      const controller = new AbortController();
      const reason = new Error("enough");
      const begun = performance.now();
      let aborted = Number.NaN;
      const working = start(controller.signal, ({ phase }) => {
        if (phase === "copy" || controller.signal.aborted) return;
        aborted = performance.now();
        controller.abort(reason);
      });
      const outcome = await working.then(
        () => "done",
        (error) => error,
      );
      // The work may have ended before the first report; then there was nothing to stop.
      if (outcome !== "done") expect(outcome).toBe(reason);
      expect(aborted).toBeGreaterThan(begun);
    }
    expect([100, 100 + n]).toContain(index.size);
  });

  it("leaves no listener behind", async () => {
    const index = await FlatF32Index.build(vectors.subarray(0, 10 * dimensions), { dimensions });
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, given);
    };
    signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, given);
    };
    for (let i = 0; i < 20; i++) await index.search(row(vectors, dimensions, i), 3, { signal });
    expect(listeners).toBe(0);
  });
});

describe("progress", () => {
  it("names each step, never runs backwards, ends at the total, and comes at most 20 times a second", async () => {
    const seen: (Progress & { at: number })[] = [];
    await RabitqPlusIndex.build(vectors, {
      dimensions,
      onProgress: (progress) => seen.push({ ...progress, at: performance.now() }),
    });
    const phases = [...new Set(seen.map((p) => p.phase))];
    expect(phases).toContain("copy");
    expect(phases).toContain("encode");
    for (const phase of phases) {
      const steps = seen.filter((p) => p.phase === phase);
      for (const [i, step] of steps.entries()) {
        expect(step.total).toBe(n);
        expect(step.done).toBeLessThanOrEqual(step.total);
        const before = steps[i - 1];
        if (before === undefined) continue;
        expect(step.done).toBeGreaterThan(before.done);
        if (step.done < step.total) expect(step.at - before.at).toBeGreaterThan(45);
      }
    }
    expect(seen.at(-1)).toMatchObject({ done: n, total: n });
  });

  it("ends at the total where there is nothing to encode", async () => {
    const seen: Progress[] = [];
    const onProgress = (progress: Progress) => seen.push(progress);
    const flat = await FlatF32Index.build(vectors, { dimensions, onProgress });
    expect(seen.at(-1)).toEqual({ phase: "copy", done: n, total: n });
    await flat.add([n], vectors.subarray(0, dimensions), { onProgress });
    expect(seen.at(-1)).toEqual({ phase: "copy", done: 1, total: 1 });
  });

  it("that throws stops the work and rejects with what was thrown", async () => {
    const oops = new Error("the bar broke");
    const broken = () => {
      throw oops;
    };
    await expect(RabitqPlusIndex.build(vectors, { dimensions, onProgress: broken })).rejects.toBe(oops);
    const late = ({ phase }: Progress) => {
      if (phase !== "copy") throw oops;
    };
    await expect(RabitqPlusIndex.build(vectors, { dimensions, onProgress: late })).rejects.toBe(oops);
  });

  it("that throws when the change is made fails nothing, and warns", async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "rulake-job-"));
    const index = await RabitqPlusIndex.build(vectors.subarray(0, 500 * dimensions), { dimensions });
    const warnings: (Error & { code?: string; detail?: string })[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on("warning", listen);
    const onProgress = ({ phase }: Progress) => {
      if (phase !== "copy") throw new Error("the bar broke");
    };
    try {
      await index.add([1000], row(vectors, dimensions, 1), { onProgress });
      expect(index.has(1000)).toBe(true);
      await index.save(path.join(dir, "index"), { onProgress });
      expect(existsSync(path.join(dir, "index"))).toBe(true);
      await index.delete([3]);
      await index.compact({ onProgress });
      expect(index.stats().deleted).toBe(0);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off("warning", listen);
      rmSync(dir, { recursive: true, force: true });
    }
    expect(warnings.map((warning) => warning.code)).toEqual(Array(3).fill("RULAKE_PROGRESS"));
    expect(warnings[0]?.detail).toContain("the bar broke");
  });

  it("of a save that is stopped leaves no file", async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "rulake-job-"));
    try {
      const index = await RabitqPlusIndex.build(vectors, { dimensions });
      const controller = new AbortController();
      const saving = index.save(path.join(dir, "index"), { signal: controller.signal });
      setTimeout(() => controller.abort(), 1);
      const outcome = await saving.then(
        () => "saved",
        (error) => error.name,
      );
      expect(existsSync(path.join(dir, "index"))).toBe(outcome === "saved");
      expect(["saved", "AbortError"]).toContain(outcome);
      await index.save(path.join(dir, "index"));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
