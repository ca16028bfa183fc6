import {
  type MetadataFilter,
  NodeRelationship,
  SimpleVectorStore,
  TextNode,
  VectorStoreQueryMode,
} from "llamaindex";
import { RuLakeError } from "rulake";
import { RuLakeVectorStore } from "rulake/llamaindex";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WordEmbedding } from "./llamaindex-fixtures.js";

type Operator = MetadataFilter["operator"];

const metadatas: Record<string, unknown>[] = [
  { text: "Rust belt", n: 3, tags: ["a", "b"] },
  { text: "rust", n: 0, tags: [] },
  { text: "", n: -1, tags: ["b", "c", 0, ""] },
  { n: 3.5, nothing: null },
  { text: "tags", tags: "a" },
  {},
];

const nodes = () =>
  metadatas.map((metadata, i) => {
    return new TextNode({
      id_: `${i}`,
      text: `node ${i}`,
      metadata: { ...metadata },
      embedding: [1, i / 10],
      relationships: { [NodeRelationship.SOURCE]: { nodeId: `doc-${i % 2}`, metadata: {} } },
    });
  });

const query = { queryEmbedding: [1, 0], similarityTopK: 10, mode: VectorStoreQueryMode.DEFAULT };

/** Every operator with values it takes; SimpleVectorStore is the reference. */
const values: Record<Exclude<Operator, "is_empty">, unknown[]> = {
  "==": ["rust", "", 0, 3, "3"],
  "!=": ["rust", "", 0, 3, "3"],
  ">": [0, 3, -5],
  "<": [0, 3, 100],
  ">=": [0, 3, 3.5],
  "<=": [0, 3, -1],
  in: [["rust", "tags"], [3, -1], []],
  nin: [["rust", "tags"], [3, -1], []],
  any: [["a", "z"], ["b"], [0], []],
  all: [["a", "b"], ["b"], []],
  contains: ["a", "b", "z"],
  text_match: ["ust", "RUST", ""],
};

const keysOf = (operator: string) => {
  if (["any", "all", "contains"].includes(operator)) return ["tags", "missing"];
  if (operator === "text_match") return ["text", "missing"];
  return [">", "<", ">=", "<="].includes(operator) ? ["n", "missing"] : ["text", "n", "tags", "missing"];
};

const cases: MetadataFilter[] = [
  ...Object.entries(values).flatMap(([operator, given]) =>
    keysOf(operator).flatMap((key) =>
      given.map((value) => ({ key, value, operator: operator as Operator }) as MetadataFilter),
    ),
  ),
  ...["text", "n", "tags", "nothing", "missing"].map(
    (key): MetadataFilter => ({ key, operator: "is_empty" }),
  ),
];

describe("MetadataFilters", () => {
  let store: RuLakeVectorStore;
  let reference: SimpleVectorStore;

  beforeAll(async () => {
    const embedModel = new WordEmbedding();
    embedModel.embedInfo = { dimensions: 2 };
    store = await RuLakeVectorStore.open({ memory: true }, { embedModel });
    reference = new SimpleVectorStore({ embedModel });
    await store.add(nodes());
    await reference.add(nodes());
  });

  afterAll(() => store.close());

  it.each(cases)("$key $operator $value, as SimpleVectorStore", async (filter) => {
    const filters = { filters: [filter] };
    const { ids } = await store.query({ ...query, filters });
    expect(ids).toEqual((await reference.query({ ...query, filters })).ids);
    expect(await store.count(filters)).toBe(ids.length);
  });

  it.each(["and", "or", undefined] as const)(
    "are combined with %s, as SimpleVectorStore",
    async (condition) => {
      const pairs = cases.slice(0, -1).map((filter, i) => [filter, cases[i + 1] as MetadataFilter]);
      for (const filters of [...pairs, []]) {
        const combined = condition === undefined ? { filters } : { filters, condition };
        const { ids } = await store.query({ ...query, filters: combined });
        expect(ids).toEqual((await reference.query({ ...query, filters: combined })).ids);
      }
    },
  );

  // What SimpleVectorStore gets wrong.
  it.each<[MetadataFilter, string[]]>([
    [{ key: "n", value: [0], operator: "in" }, ["1"]],
    [{ key: "text", value: [""] as string[], operator: "in" }, ["2"]],
    [{ key: "n", value: [0], operator: "nin" }, ["0", "2", "3"]],
    [{ key: "text", value: [""] as string[], operator: "nin" }, ["0", "1", "4"]],
    [{ key: "tags", value: 0, operator: "contains" }, ["2"]],
    [{ key: "tags", value: "", operator: "contains" }, ["2"]],
    [{ key: "n", value: "3", operator: "text_match" }, []],
  ])("%j finds %j", async (filter, expected) => {
    expect((await store.query({ ...query, filters: { filters: [filter] } })).ids).toEqual(expected);
  });

  it.each(["ref_doc_id", "doc_id", "document_id"])(
    "understand %s, as nodeToMetadata names it",
    async (key) => {
      const ids = async (filter: MetadataFilter) =>
        (await store.query({ ...query, filters: { filters: [filter] } })).ids;
      expect(await ids({ key, value: "doc-1", operator: "==" })).toEqual(["1", "3", "5"]);
      expect(await ids({ key, value: ["doc-0", "x"], operator: "in" })).toEqual(["0", "2", "4"]);
      expect(await ids({ key, value: "doc-1", operator: "!=" })).toEqual(["0", "2", "4"]);
    },
  );

  it("apply before the best are chosen", async () => {
    const filters = { filters: [{ key: "text", value: "tags", operator: "==" as const }] };
    expect((await store.query({ ...query, similarityTopK: 1, filters })).ids).toEqual(["4"]);
  });

  it.each<[unknown, string]>([
    [{ filters: [{ key: "n", value: 1, operator: "text_mach" }] }, "did you mean 'text_match'?"],
    [{ filters: [{ key: "n", value: 1, operator: "toString" }] }, "unknown operator"],
    [{ filters: [{ key: "n", value: 1, operator: "in" }] }, "filters[0]"],
    [{ filters: [{ key: "n", operator: "==" }] }, "must be a string"],
    [{ filters: [], condition: "not" }, "'and' and 'or'"],
    [{ filters: [{ key: "n", value: 1 }] }, "filters[0]"],
    [{ filters: [{ value: 1, operator: "==" }] }, "filters[0]"],
    [{ filters: [null] }, "filters[0]"],
    [{ key: "n", value: 1, operator: "==" }, "{ filters: [...]"],
    [[], "{ filters: [...]"],
    [null, "{ filters: [...]"],
  ])("%j are refused: %s", async (filters, message) => {
    const error = await store
      .query({ ...query, filters: filters as never })
      .catch((reason: unknown) => reason);
    expect(RuLakeError.isInstance(error) && error.code).toBe("INVALID_FILTER");
    expect((error as Error).message).toContain(message);
  });
});
