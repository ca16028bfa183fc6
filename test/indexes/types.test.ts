import {
  type BatchResult,
  type BuildOptions,
  FlatF32Index,
  type Hit,
  loadIndex,
  type RabitqIndex,
  RabitqPlusIndex,
  RuLakeError,
  type VectorIndex,
} from "rulake";
import { describe, expectTypeOf, it } from "vitest";

describe("types", () => {
  it("of what calls return", () => {
    expectTypeOf(RabitqPlusIndex.build).returns.resolves.toEqualTypeOf<RabitqPlusIndex>();
    expectTypeOf(FlatF32Index.load).returns.resolves.toEqualTypeOf<FlatF32Index>();
    expectTypeOf(loadIndex).returns.resolves.toEqualTypeOf<VectorIndex>();
    expectTypeOf<VectorIndex["search"]>().returns.resolves.toEqualTypeOf<Hit[]>();
    expectTypeOf<VectorIndex["searchBatch"]>().returns.resolves.toEqualTypeOf<BatchResult>();
    expectTypeOf<VectorIndex["get"]>().returns.toEqualTypeOf<Float32Array | undefined>();
    expectTypeOf<Iterable<[number, Float32Array]>>().not.toBeAny();
    expectTypeOf<VectorIndex>().toExtend<Iterable<[number, Float32Array]>>();
  });

  it("of options follow the class", () => {
    expectTypeOf<{ dimensions: 3; bits: 5 }>().toExtend<BuildOptions>();
    expectTypeOf<{ dimensions: 3; bits: 4 }>().not.toExtend<BuildOptions>();
    expectTypeOf<{ metric: "l2" }>().not.toExtend<BuildOptions>();
    expectTypeOf<Parameters<typeof FlatF32Index.build>[1]>().not.toHaveProperty("bits");
    expectTypeOf<Parameters<typeof RabitqIndex.build>[1]>().not.toHaveProperty("rerankFactor");
    expectTypeOf<Parameters<typeof RabitqPlusIndex.build>[1]>().toEqualTypeOf<BuildOptions>();
  });

  it("of errors narrow", () => {
    const error: unknown = new Error();
    if (RuLakeError.isInstance(error)) expectTypeOf(error.code).toEqualTypeOf<string>();
  });

  it("of constructors keep callers out", () => {
    // @ts-expect-error made by build and load only
    const make = () => new FlatF32Index({});
    expectTypeOf(make).toBeFunction();
  });
});
