import type { SearchPlan } from "./records.js";

/** The plan with a readable text of its own. */
export function toPlan(json: string): SearchPlan {
  const plan = JSON.parse(json) as SearchPlan;
  return Object.defineProperty(plan, "toString", { value: () => describe(plan), enumerable: false });
}

function describe({ snapshot, records, matching, parts }: SearchPlan): string {
  const lines = parts.map((part) => {
    const index = part.index === null ? "no vectors" : `${part.index}, ${part.vectors} vectors`;
    const lists = part.lists > 0 ? ` in ${part.lists} lists` : "";
    const deleted = part.deleted > 0 ? `, ${part.deleted} deleted` : "";
    const matches = part.matching < part.records ? `, ${part.matching} match` : "";
    const skipped = part.skipped ? ", skipped" : "";
    return `  ${part.part}: ${part.records} records${deleted}${matches}; ${index}${lists}${skipped}`;
  });
  return [`snapshot ${snapshot}: ${matching} of ${records} records, ${parts.length} parts`, ...lines].join(
    "\n",
  );
}
