import type { AgentSkill } from "../card/agent-card.js";
import type { BreakerState } from "./breaker.js";

/** What is known of a peer. */
export interface PeerStats {
  agentId: string;
  name: string;
  skills: readonly AgentSkill[];
  /** Duration of its tasks in milliseconds, a moving average; `undefined` before the first. */
  latencyMs: number | undefined;
  /** Cost of its tasks in US dollars, a moving average of what it reports, or else what it was entered with. */
  costUsd: number;
  /** Tasks under way. */
  running: number;
  breaker: BreakerState;
}

/** What a peer is chosen for. */
export interface SelectionRequest {
  skill: string | undefined;
}

/** Leaves out and puts in order: the first of what it returns is asked. */
export type PeerSelector = (
  candidates: readonly PeerStats[],
  request: SelectionRequest,
) => readonly PeerStats[];

/** Those that have the skill that is asked for; all when none is. */
export function byCapability(): PeerSelector {
  return (candidates, { skill }) =>
    skill === undefined
      ? candidates
      : candidates.filter(({ skills }) => skills.some(({ id }) => id === skill));
}

/** The quickest first. Peers that have not been asked yet come before all, so that they are known soon. */
export function byLatency(): PeerSelector {
  return (candidates) => sorted(candidates, ({ latencyMs = -1 }) => latencyMs);
}

/** The cheapest first, of those that are quick enough or not known yet; all when none is quick enough. */
export function byCost({
  underLatencyMs = Number.POSITIVE_INFINITY,
}: {
  underLatencyMs?: number;
} = {}): PeerSelector {
  return (candidates) => {
    const quick = candidates.filter(({ latencyMs = 0 }) => latencyMs <= underLatencyMs);
    return sorted(quick.length > 0 ? quick : candidates, ({ costUsd }) => costUsd);
  };
}

/** One after the other. */
export function roundRobin(): PeerSelector {
  /** By last use: candidates differ from call to call. */
  const usedAt = new Map<string, number>();
  let clock = 0;
  return (candidates) => {
    const order = sorted(candidates, ({ agentId }) => usedAt.get(agentId) ?? -1);
    if (order[0] !== undefined) usedAt.set(order[0].agentId, clock++);
    return order;
  };
}

/** One selector after the other, each over what the one before it left, in its order. */
export function chained(...selectors: readonly PeerSelector[]): PeerSelector {
  return (candidates, request) => selectors.reduce((left, selector) => selector(left, request), candidates);
}

/** In ascending order; equals keep theirs. */
function sorted(candidates: readonly PeerStats[], key: (stats: PeerStats) => number): PeerStats[] {
  return [...candidates].sort((a, b) => key(a) - key(b));
}
