import type { TaskEstimate } from "../peer/task-policy.js";

/**
 * What a peer says a task took: `metadata.ruvector.usage` or `metadata.usage` of an update, with `tokens` or
 * `total_tokens`, and `costUsd` or `cost_usd`. `undefined` where it says nothing that makes sense.
 */
export function readUsage(metadata: Record<string, unknown> | undefined): Partial<TaskEstimate> | undefined {
  const usage = (metadata?.ruvector as { usage?: unknown } | undefined)?.usage ?? metadata?.usage;
  if (typeof usage !== "object" || usage === null) return undefined;
  const { tokens, total_tokens, costUsd, cost_usd } = usage as Record<string, unknown>;
  const found: Partial<TaskEstimate> = {};
  const count = [tokens, total_tokens].find(isAmount);
  const cost = [costUsd, cost_usd].find(isAmount);
  if (count !== undefined) found.tokens = count;
  if (cost !== undefined) found.costUsd = cost;
  return found;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
