import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption, suggestion } from "../../options.js";

/** What one task may take. */
export interface TaskPolicy {
  /** Skills that may be asked for, by id; a message without a skill is then refused. Default: all. */
  allowedSkills?: readonly string[];
  /** Longest duration in milliseconds, from the first byte sent; the task is canceled then. */
  maxDurationMs?: number;
  /** Most that the task may cost, in US dollars, going by the estimate. */
  maxCostUsd?: number;
  /** Most tokens that the task may use, going by the estimate. */
  maxTokens?: number;
  /** Most tasks that may run at the peer at the same time. */
  maxConcurrency?: number;
}

/** What a task is expected to take. */
export interface TaskEstimate {
  costUsd: number;
  tokens: number;
}

const NAMES = ["allowedSkills", "maxDurationMs", "maxCostUsd", "maxTokens", "maxConcurrency"];

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function checkTaskPolicy(policy: TaskPolicy | undefined, where: string): void {
  checkOptions(policy, NAMES, `${where}: policy`);
  if (policy === undefined) return;
  for (const name of ["maxDurationMs", "maxCostUsd", "maxTokens", "maxConcurrency"] as const) {
    const value = policy[name];
    if (value !== undefined && !(typeof value === "number" && value >= 0)) {
      throw invalidOption(where, `policy.${name}`, "a number from 0", value);
    }
  }
  if (policy.allowedSkills !== undefined && !Array.isArray(policy.allowedSkills)) {
    throw invalidOption(where, "policy.allowedSkills", "an array of skill ids", policy.allowedSkills);
  }
}

/**
 * Refuses a task that a policy does not allow.
 *
 * @param running - tasks under way at the peer
 * @throws {@link A2AError} `POLICY_VIOLATION` with `context.rule`
 */
export function applyTaskPolicy(
  policy: TaskPolicy,
  {
    skill,
    estimate,
    running,
    where,
  }: { skill: string | undefined; estimate: TaskEstimate; running: number; where: string },
): void {
  const { allowedSkills, maxCostUsd, maxTokens, maxConcurrency } = policy;
  if (allowedSkills !== undefined && (skill === undefined || !allowedSkills.includes(skill))) {
    const asked =
      skill === undefined ? "no skill is named" : `skill '${skill}'${suggestion(skill, allowedSkills)}`;
    throw violation(
      where,
      "allowedSkills",
      `${asked}, and only ${allowedSkills.join(", ") || "none"} may be used`,
    );
  }
  if (maxCostUsd !== undefined && estimate.costUsd > maxCostUsd) {
    throw violation(
      where,
      "maxCostUsd",
      `it would cost about ${estimate.costUsd} USD, and ${maxCostUsd} are allowed`,
    );
  }
  if (maxTokens !== undefined && estimate.tokens > maxTokens) {
    throw violation(
      where,
      "maxTokens",
      `it would use about ${estimate.tokens} tokens, and ${maxTokens} are allowed`,
    );
  }
  if (maxConcurrency !== undefined && running >= maxConcurrency) {
    throw violation(
      where,
      "maxConcurrency",
      `${running} tasks run at the peer, and ${maxConcurrency} are allowed`,
    );
  }
}

function violation(where: string, rule: keyof TaskPolicy, why: string): A2AError {
  const passes = rule === "maxConcurrency";
  return new A2AError(`${where}: the policy does not allow this task: ${why}`, {
    code: "POLICY_VIOLATION",
    category: passes ? "transient" : "permanent",
    context: { rule },
  });
}
