import { maximalMarginalRelevance } from "rulake";
import { describe, expect, it } from "vitest";
import { noise } from "./scratch.js";

const vectors = (...rows: number[][]) => rows.map((row) => Float32Array.from(row));

describe("maximal marginal relevance", () => {
  it("is plain relevance with lambda 1", () => {
    const candidates = vectors([0, 1], [1, 0], [1, 1]);
    expect(maximalMarginalRelevance(Float32Array.of(1, 0), candidates, 3, 1)).toEqual([1, 2, 0]);
  });

  it("avoids what was picked already", () => {
    const candidates = vectors([1, 0], [1, 0], [0, 1]);
    expect(maximalMarginalRelevance(Float32Array.of(1, 0.2), candidates, 2, 0.3)).toEqual([0, 2]);
  });

  it("bears zero vectors, ties, too few and no candidates", () => {
    const query = Float32Array.of(0, 0);
    expect(maximalMarginalRelevance(query, vectors([0, 0], [0, 0]), 5, 0.5)).toEqual([0, 1]);
    expect(maximalMarginalRelevance(query, [], 5, 0.5)).toEqual([]);
  });

  it("agrees with the definition", () => {
    const d = 8;
    const [query = new Float32Array(), ...candidates] = Array.from({ length: 31 }, (_, i) => noise(d, i + 3));
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
    const cos = (a: Float32Array, b: Float32Array) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    for (const lambda of [0, 0.25, 0.5, 0.9]) {
      const expected: number[] = [];
      while (expected.length < 10) {
        const value = (i: number) => {
          const others = expected.map((j) =>
            cos(candidates[i] as Float32Array, candidates[j] as Float32Array),
          );
          const redundancy = others.length === 0 ? 0 : Math.max(...others);
          return lambda * cos(query, candidates[i] as Float32Array) - (1 - lambda) * redundancy;
        };
        const open = [...candidates.keys()].filter((i) => !expected.includes(i));
        expected.push(open.reduce((best, i) => (value(i) > value(best) ? i : best)));
      }
      expect(maximalMarginalRelevance(query, candidates, 10, lambda)).toEqual(expected);
    }
  });
});
