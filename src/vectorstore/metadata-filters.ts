import { LakeError } from "../errors.js";
import type { Filter } from "../lake/filter.js";
import { suggestion } from "../options.js";
import { REF_DOC_PATH } from "./nodes.js";

/** LlamaIndex's `MetadataFilters`, as far as they matter here. */
export interface MetadataFiltersLike {
  filters: readonly { key: string; value?: unknown; operator: string }[];
  condition?: string | undefined;
}

/** Stands for "is a string": no other value starts with a text. */
const NO_STRING = { $not: { $startsWith: "" } };

/** Conditions on one field, as `SimpleVectorStore` understands LlamaIndex's operators. */
const OPERATORS: Record<string, (value: unknown, at: string) => object> = {
  "==": (value, at) => ({ $eq: scalar(value, at) }),
  "!=": (value, at) => ({ $ne: scalar(value, at) }),
  ">": (value, at) => ({ $gt: scalar(value, at) }),
  "<": (value, at) => ({ $lt: scalar(value, at) }),
  ">=": (value, at) => ({ $gte: scalar(value, at) }),
  "<=": (value, at) => ({ $lte: scalar(value, at) }),
  in: (value, at) => ({ $in: list(value, at) }),
  nin: (value, at) => ({ $nin: list(value, at) }),
  // The lake's $contains also finds substrings; these three are about arrays only.
  any: (value, at) => ({ $containsAny: list(value, at), ...NO_STRING }),
  all: (value, at) => ({ $containsAll: list(value, at), ...NO_STRING }),
  contains: (value, at) => ({ $contains: scalar(value, at), ...NO_STRING }),
  // Letter case counts, which the lake's $textMatch puts aside.
  text_match: (value, at) => ({ $contains: scalar(value, at) }),
};

/** Names under which LlamaIndex's own `nodeToMetadata` lets filters ask for the document a node came from. */
const REF_DOC_KEYS: readonly string[] = ["ref_doc_id", "doc_id", "document_id"];

/**
 * Translates LlamaIndex's filters.
 *
 * A missing key satisfies only `is_empty`. Nothing is coerced: `"10" > 5` is false. No filters match all with `and`,
 * none with `or`. `ref_doc_id`, `doc_id` and `document_id` stand for the id of the source document where the metadata
 * has no such key.
 *
 * @throws {@link LakeError} `INVALID_FILTER` for an unknown operator or condition, or a value the operator does not take
 */
export function translateFilters(filters: MetadataFiltersLike): Filter {
  if (!Array.isArray(filters?.filters)) {
    throw invalid("the top", "MetadataFilters are { filters: [...], condition? }");
  }
  const { condition = "and" } = filters;
  if (condition !== "and" && condition !== "or") {
    throw invalid("condition", `unknown condition '${condition}'; there are 'and' and 'or'`);
  }
  const all = filters.filters.map((filter, i) => translateFilter(filter, `filters[${i}]`));
  return condition === "or" ? { $or: all } : { $and: all };
}

function translateFilter(filter: MetadataFiltersLike["filters"][number], at: string): Filter {
  const { key, value, operator } = filter ?? {};
  if (typeof key !== "string" || typeof operator !== "string") {
    throw invalid(at, "a filter is { key, value, operator }, with a string for key and operator");
  }
  if (operator === "is_empty") {
    // The lake's $isEmpty would also find {}.
    return { $or: [{ [key]: { $exists: false } }, { [key]: { $in: [null, "", []] } }] };
  }
  const translate = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (translate === undefined) {
    const known = [...Object.keys(OPERATORS), "is_empty"];
    throw invalid(
      at,
      `unknown operator '${operator}'${suggestion(operator, known)}; there are ${known.join(" ")}`,
    );
  }
  const condition = translate(value, `${at}, operator '${operator}'`);
  if (!REF_DOC_KEYS.includes(key)) return { [key]: condition };
  return { $or: [{ [key]: condition }, { [key]: { $exists: false }, [REF_DOC_PATH]: condition }] };
}

function scalar(value: unknown, at: string): string | number | boolean {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalid(at, "the value must be a string, a finite number or a boolean");
}

function list(value: unknown, at: string): (string | number | boolean)[] {
  if (Array.isArray(value)) return value.map((item) => scalar(item, at));
  throw invalid(at, "the value must be an array of strings or numbers");
}

function invalid(at: string, reason: string): LakeError {
  return new LakeError(`invalid filter at ${at}: ${reason}`, {
    code: "INVALID_FILTER",
    context: { at },
  });
}

/** Records of these documents; ids of nodes are understood too, as `SimpleVectorStore` does. */
export function filterByDocuments(docIds: readonly string[]): Filter {
  return { $or: [{ [REF_DOC_PATH]: { $in: [...docIds] } }, { $id: { $in: [...docIds] } }] };
}
