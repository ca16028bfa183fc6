export { A2AError, ConfigError, RuLakeError } from "../errors.js";
export type { AgentCard, AgentInterface, AgentSkill } from "./card/agent-card.js";
export type { CanonicalForm } from "./card/canonical-card.js";
export type { CardChange } from "./card/card-changes.js";
export type { Verification } from "./card/card-signature.js";
export { type DiscoveredAgent, type DiscoverOptions, discoverAgent } from "./card/discover-agent.js";
export type { TrustOptions, Verify } from "./card/trust.js";
export { FileTrustStore, type TrustRecord, type TrustStore } from "./card/trust-store.js";
export type { BreakerOptions, BreakerState } from "./dispatch/breaker.js";
export type { BudgetOptions, BudgetUse } from "./dispatch/budget.js";
export { A2APeers, type DispatchOptions, type PeerEntry, type PeersOptions } from "./dispatch/peers.js";
export type { RecursionOptions } from "./dispatch/recursion.js";
export {
  byCapability,
  byCost,
  byLatency,
  chained,
  type PeerSelector,
  type PeerStats,
  roundRobin,
  type SelectionRequest,
} from "./dispatch/selector.js";
export type { SpanLike, TracerLike } from "./dispatch/span.js";
export type { AuthOptions, MutualTlsOptions } from "./http/credentials.js";
export {
  createGuardedFetch,
  type GuardedFetch,
  type GuardedFetchOptions,
  type GuardedHttp,
} from "./http/guarded-fetch.js";
export { DEFAULT_LIMITS, type Limits } from "./http/limits.js";
export type { NetworkOptions, ResolvedAddress } from "./http/network-policy.js";
export type { OAuth2Options } from "./http/oauth2-token.js";
export type { ConnectOptions } from "./peer/connect-options.js";
export type { A2AInput, A2AMessage } from "./peer/message.js";
export type { A2AFile, A2APart } from "./peer/parts.js";
export { A2APeer } from "./peer/peer.js";
export type { Binding, PeerInterface, ProtocolChoice } from "./peer/peer-interface.js";
export type { PeerCallOptions, SendOptions } from "./peer/peer-options.js";
export type { PushConfig } from "./peer/push-config.js";
export { type A2ATask, TaskAssembly } from "./peer/task.js";
export { currentTaskContext, type TaskContext } from "./peer/task-context.js";
export type { A2AArtifact, A2AEvent } from "./peer/task-event.js";
export type { ListTasksOptions, TaskPage } from "./peer/task-page.js";
export type { TaskEstimate, TaskPolicy } from "./peer/task-policy.js";
export type { TaskState } from "./peer/task-state.js";
export type {
  AgentHandler,
  AgentRequest,
  AgentUpdate,
  RetrieverLike,
  RunnableLike,
} from "./serve/agent-handler.js";
export type { PushOptions } from "./serve/push-sender.js";
export { type A2AServer, serveAsA2A } from "./serve/serve.js";
export type { Caller, ServeAuth, ServeLimits, ServeOptions } from "./serve/serve-options.js";
export type { CardInput, SigningKey, SkillInput } from "./serve/served-card.js";
export { A2AWebhook, type WebhookOptions, type WebhookRequest } from "./serve/webhook.js";
export {
  type Conversation,
  type ConversationStore,
  LakeConversations,
  MemoryConversations,
  type Question,
} from "./tools/conversations.js";
export {
  type BundlePlaces,
  findWitness,
  resolveWitness,
  type WitnessHandoff,
  witnessData,
} from "./tools/witness.js";
