import type { NativeCollection } from "../../native/binding.js";
import type { CollectionSearch } from "./collection-search.js";
import { lakeCall, lakeCallNow } from "./native-call.js";
import type { SearchPlan, SearchPlanPart } from "./records.js";
import { checkDimensions } from "./vector.js";

/** Searches for a vector; what the search did, with a readable text of its own. */
export async function explainSearch(
  handle: NativeCollection,
  vector: Float32Array,
  { parameters, mmr, signal }: CollectionSearch,
  where: string,
): Promise<SearchPlan> {
  const expected = lakeCallNow(where, () => handle.dimensions) ?? vector.length;
  checkDimensions(vector, expected, "vector", where);
  const wanted = mmr === undefined ? parameters : { ...parameters, k: mmr.fetchK };
  const json = await lakeCall(where, signal, (control) => handle.explain(vector, wanted, control));
  const plan = JSON.parse(json) as SearchPlan;
  return Object.defineProperty(plan, "toString", { value: () => describe(plan), enumerable: false });
}

function describe({ snapshot, records, matching, k, hits, parts }: SearchPlan): string {
  const head = `snapshot ${snapshot}: ${matching} of ${records} records, ${parts.length} parts`;
  return [`${head}; ${hits} hits of ${k} wanted`, ...parts.map(describePart)].join("\n");
}

function describePart(part: SearchPlanPart): string {
  const index = part.index === null ? "no vectors" : `${part.index}, ${part.vectors} vectors`;
  const lists = part.lists > 0 ? ` in ${part.lists} lists` : "";
  const deleted = part.deleted > 0 ? `, ${part.deleted} deleted` : "";
  const matches = part.matching < part.records ? `, ${part.matching} match` : "";
  const told = `  ${part.part}: ${part.records} records${deleted}${matches}; ${index}${lists}`;
  return `${told}: ${describeSearch(part)}`;
}

function describeSearch({ search, lists }: SearchPlanPart): string {
  if (search === null) return "skipped";
  const probed = lists > 0 ? `${search.listsProbed} lists probed, ` : "";
  const looked = search.exactScan
    ? ""
    : `${probed}${search.rowsScanned} rows scanned, ${search.rowsPruned} ruled out, `;
  return `${looked}${search.rowsReranked} compared in ${search.milliseconds.toFixed(2)} ms`;
}
