import type { AgentCard } from "@a2a-js/sdk";
import type { ClientSdk } from "./a2a-sdk.js";
import type { AuthOptions } from "./credentials.js";
import { createGuardedFetch, type GuardedHttp } from "./guarded-fetch.js";
import { type Limits, resolveLimits } from "./limits.js";
import type { NetworkOptions } from "./network-policy.js";
import { type Binding, chooseInterface, type PeerInterface, type ProtocolChoice } from "./peer-interface.js";

export interface Verification {
  kid: string;
  thumbprint: string;
  form: string;
}
export interface ConnectOptions {
  protocol?: ProtocolChoice;
  network?: NetworkOptions;
  limits?: Partial<Limits>;
  auth?: AuthOptions;
  bindings?: readonly Binding[];
  verify?: "off" | "if-present" | "require";
}
export async function discover(
  sdk: ClientSdk,
  url: string | URL,
  options: ConnectOptions,
  where: string,
): Promise<{
  http: GuardedHttp;
  card: AgentCard;
  offer: PeerInterface;
  verified: Verification | undefined;
  limits: Readonly<Limits>;
}> {
  const limits = resolveLimits(options.limits, where);
  const base = new URL(url);
  const http = createGuardedFetch({
    network: options.network ?? {},
    limits: options.limits ?? {},
    origin: base.origin,
    ...(options.auth ? { auth: options.auth } : {}),
  });
  const r = await http.fetch(new URL("/.well-known/agent-card.json", base), {
    headers: { "A2A-Version": "1.0" },
  });
  const card = new sdk.client.DefaultAgentCardResolver({
    legacyCompat: { enabled: true },
  }).normalizeAgentCard(await r.json());
  return {
    http,
    card,
    offer: chooseInterface(card, options.protocol ?? "auto", options.bindings ?? ["JSONRPC", "HTTP+JSON"]),
    verified: undefined,
    limits,
  };
}
