export { A2AError, ConfigError, RuLakeError } from "../errors.js";
export type { AgentCard, AgentInterface, AgentSkill } from "./agent-card.js";
export type {
  AgentHandler,
  AgentRequest,
  AgentUpdate,
  RetrieverLike,
  RunnableLike,
} from "./agent-handler.js";
export type { BreakerOptions, BreakerState } from "./breaker.js";
export type { BudgetOptions, BudgetUse } from "./budget.js";
export type { CanonicalForm } from "./canonical-card.js";
export type { CardChange } from "./card-changes.js";
export type { Verification } from "./card-signature.js";
export type { ConnectOptions } from "./connect-options.js";
export {
  type Conversation,
  type ConversationStore,
  LakeConversations,
  MemoryConversations,
  type Question,
} from "./conversations.js";
export type { AuthOptions, MutualTlsOptions } from "./credentials.js";
export { type DiscoveredAgent, type DiscoverOptions, discoverAgent } from "./discover-agent.js";
export {
  createGuardedFetch,
  type GuardedFetch,
  type GuardedFetchOptions,
  type GuardedHttp,
} from "./guarded-fetch.js";
export { DEFAULT_LIMITS, type Limits } from "./limits.js";
export type { A2AInput, A2AMessage } from "./message.js";
export type { NetworkOptions, ResolvedAddress } from "./network-policy.js";
export type { OAuth2Options } from "./oauth2-token.js";
export type { A2AFile, A2APart } from "./parts.js";
export { A2APeer, type ListTasksOptions, type TaskPage } from "./peer.js";
export type { Binding, PeerInterface, ProtocolChoice } from "./peer-interface.js";
export type { PeerCallOptions, SendOptions } from "./peer-options.js";
export { A2APeers, type DispatchOptions, type PeerEntry, type PeersOptions } from "./peers.js";
export type { PushConfig } from "./push-config.js";
export type { PushOptions } from "./push-sender.js";
export type { RecursionOptions } from "./recursion.js";
export {
  byCapability,
  byCost,
  byLatency,
  chained,
  type PeerSelector,
  type PeerStats,
  roundRobin,
  type SelectionRequest,
} from "./selector.js";
export { type A2AServer, serveAsA2A } from "./serve.js";
export type { Caller, ServeAuth, ServeLimits, ServeOptions } from "./serve-options.js";
export type { CardInput, SigningKey, SkillInput } from "./served-card.js";
export type { SpanLike, TracerLike } from "./span.js";
export { type A2ATask, TaskAssembly } from "./task.js";
export { currentTaskContext, type TaskContext } from "./task-context.js";
export type { A2AArtifact, A2AEvent } from "./task-event.js";
export type { TaskEstimate, TaskPolicy } from "./task-policy.js";
export type { TaskState } from "./task-state.js";
export type { TrustOptions, Verify } from "./trust.js";
export { FileTrustStore, type TrustRecord, type TrustStore } from "./trust-store.js";
export { A2AWebhook, type WebhookOptions, type WebhookRequest } from "./webhook.js";
export {
  type BundlePlaces,
  findWitness,
  resolveWitness,
  type WitnessHandoff,
  witnessData,
} from "./witness.js";
