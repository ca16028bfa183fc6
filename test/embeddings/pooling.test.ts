import { expect, it } from "vitest";
import { halfToFloat, normalizeInPlace, pool, weightedMean } from "../../src/embeddings/pooling.js";

it("pools token vectors", () => {
  const values = Float32Array.of(1, 10, 2, -20, 6, 1);
  expect([...pool(values, 3, 2, "mean")]).toEqual([3, -3]);
  expect([...pool(values, 3, 2, "cls")]).toEqual([1, 10]);
  expect([...pool(values, 3, 2, "last")]).toEqual([6, 1]);
  expect([...pool(values, 3, 2, "max")]).toEqual([6, 10]);
});

it("weighs a mean, and leaves a zero vector alone", () => {
  expect([...weightedMean([Float32Array.of(1, 0), Float32Array.of(0, 1)], [3, 1])]).toEqual([0.75, 0.25]);
  expect([...weightedMean([Float32Array.of(1, 2)], [0])]).toEqual([0, 0]);
  expect([...normalizeInPlace(Float32Array.of(0, 0))]).toEqual([0, 0]);
  expect([...normalizeInPlace(Float32Array.of(3, 4))]).toEqual([0.6, 0.8].map(Math.fround));
});

it("reads half precision", () => {
  const known: [number, number][] = [
    [0x0000, 0],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x0001, 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
  ];
  for (const [bits, value] of known) expect(halfToFloat(bits)).toBe(value);
  expect(halfToFloat(0x8000)).toBe(-0);
  expect(halfToFloat(0x7e00)).toBeNaN();
});
