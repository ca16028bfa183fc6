import { MemoryVectorCache } from "rulake/embeddings";
import { expect, it } from "vitest";

const vector = (value: number) => new Float32Array(10).fill(value);

it("drops the least recently used when full, counting bytes", () => {
  const one = new MemoryVectorCache();
  one.set("a", vector(1));
  const cache = new MemoryVectorCache(one.bytes * 3);
  for (const key of ["a", "b", "c"]) cache.set(key, vector(1));
  expect(cache.get("a")).toEqual(vector(1));
  cache.set("d", vector(2));
  expect([..."abcd"].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true, true]);
  expect([cache.size, cache.bytes]).toEqual([3, cache.maxBytes]);
  cache.set("a", vector(5));
  expect([cache.size, cache.get("a")]).toEqual([3, vector(5)]);
  expect([cache.delete("a"), cache.delete("a")]).toEqual([true, false]);
  cache.clear();
  expect([cache.size, cache.bytes]).toEqual([0, 0]);
});

it("does not keep what is larger than itself", () => {
  const cache = new MemoryVectorCache(1000);
  cache.set("small", vector(1));
  cache.set("x".repeat(1000), vector(1));
  expect(cache.size).toBe(1);
  expect(cache.get("small")).toBeDefined();
});
