import { A2AError } from "../../errors.js";
import { checkOptions, checkSignal, invalidOption } from "../../options.js";
import { nextTurn } from "../../turns.js";
import { createGuardedFetch, type GuardedFetch } from "../http/guarded-fetch.js";
import { type Limits, resolveLimits } from "../http/limits.js";
import type { NetworkOptions } from "../http/network-policy.js";
import { type AgentCard, readCard } from "./agent-card.js";
import { isLegacyCard } from "./canonical-card.js";
import { readCardJson } from "./card-json.js";
import { isObject } from "./card-shape.js";
import { isSigned, type SignedCard, type Verification, verifySignatures } from "./card-signature.js";
import { CardSource } from "./card-source.js";
import { isLoopback, ownInterfaces } from "./interface-origins.js";
import { recognise } from "./remembered-agents.js";
import { verifyRuvectorSignature } from "./ruvector-signature.js";
import { SigningKeys } from "./signing-keys.js";
import { resolveTrust, type Trust, type TrustOptions, type Verify } from "./trust.js";

/** Options of {@link discoverAgent}. */
export interface DiscoverOptions {
  /** Default `"require"`; for agents on this machine `"if-present"`. */
  verify?: Verify;
  /** Whose signatures count. */
  trust?: TrustOptions;
  /** What to fetch with: its cache of cards and key sets is used again. Default: one for this call. */
  fetch?: GuardedFetch;
  /** Which places may be asked, without `fetch`. */
  network?: NetworkOptions;
  limits?: Partial<Limits>;
  /** A card is asked for again after this time, whatever its server says, in milliseconds. Default one hour. */
  maxAgeMs?: number;
  signal?: AbortSignal;
}

/** An agent that was found. */
export interface DiscoveredAgent {
  /** What it says about itself. */
  card: AgentCard;
  /**
   * The JSON of the card that may be relied on, in the version it came in: after verification what was signed and
   * nothing else, otherwise all of it, with the interfaces that may be used.
   */
  json: Record<string, unknown>;
  /** Who signed the card; `undefined` if nobody did or nobody looked. */
  verified: Verification | undefined;
  /** Thumbprint of the key that signed the card, the AgentID of the ruvector profile, or the URL of the card. */
  agentId: string;
  /** URL of the card. */
  url: string;
  /** The card as it came: nothing of it was checked. */
  raw: string;
}

const NAMES = ["verify", "trust", "fetch", "network", "limits", "maxAgeMs", "signal"];
const WHERE = "discoverAgent()";
const MAX_AGE_MS = 3_600_000;

/** Caches last as long as the fetch they were filled by: it decides where answers may come from. */
const caches = new WeakMap<GuardedFetch, { cards: CardSource; keys: SigningKeys }>();

/**
 * Finds an agent by its card (A2A 1.0 or 0.3), checks who signed it, and keeps to what was signed.
 *
 * @param url - of the agent, whose card is below it at `.well-known/agent-card.json` or `.well-known/agent.json`; or
 * of the card, if it ends in `.json`
 * @throws {@link A2AError} `CARD_NOT_FOUND`, `CARD_UNAVAILABLE`, `CARD_INVALID`, `CARD_UNSIGNED`, `CARD_CHANGED`,
 * `CARD_SIGNATURE_INVALID`, `CARD_SIGNATURE_UNTRUSTED`, `KEY_SET_REFUSED`, `KEY_SET_FAILED`, `INTERFACE_REFUSED`,
 * `TRUST_STORE_FAILED`, and what fetching ends with
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 *
 * @example
 * ```ts
 * const { card, verified } = await discoverAgent("https://agent.example", {
 *   trust: { thumbprints: ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"] },
 * });
 * console.log(card.name, card.skills.map((skill) => skill.id), verified?.kid);
 * ```
 */
export async function discoverAgent(
  url: string | URL,
  options: DiscoverOptions = {},
): Promise<DiscoveredAgent> {
  const { verify, trust, limits, maxAgeMs } = checked(url, options);
  if (options.fetch !== undefined) return discover(options.fetch);
  const http = createGuardedFetch({
    ...(options.network !== undefined && { network: options.network }),
    ...(options.limits !== undefined && { limits: options.limits }),
  });
  try {
    return await discover(http.fetch);
  } finally {
    await http.close();
  }

  async function discover(fetch: GuardedFetch): Promise<DiscoveredAgent> {
    const { cards, keys } = cachesOf(fetch);
    const found = await cards.get(new URL(url), maxAgeMs, limits, options.signal);
    const json = await readCardJson(found.bytes, limits.jsonDepth);
    if (!isObject(json)) throw new A2AError("The agent card is no object", { code: "CARD_INVALID" });
    const how = verify ?? (isLoopback(found.url) ? "if-present" : "require");
    const signed = await signedCards(json, found.url, how, trust, keys, limits);
    const verified = await decide(json, found.url, signed, trust);
    await nextTurn();
    const raw = new TextDecoder().decode(found.bytes);
    return { ...(await exposed(json, found.url, verified, trust)), url: found.url.href, raw };
  }
}

function checked(url: string | URL, options: DiscoverOptions) {
  checkOptions(options, NAMES, WHERE);
  checkSignal(options.signal, WHERE);
  const { verify, fetch, maxAgeMs = MAX_AGE_MS } = options;
  if (!URL.canParse(String(url)))
    throw new A2AError("The URL of the agent cannot be parsed", { code: "URL_REFUSED" });
  if (verify !== undefined && !["require", "if-present", "off"].includes(verify)) {
    throw invalidOption(WHERE, "verify", "'require', 'if-present' or 'off'", verify);
  }
  if (fetch !== undefined && typeof fetch !== "function")
    throw invalidOption(WHERE, "fetch", "a function", fetch);
  if (!Number.isFinite(maxAgeMs) || maxAgeMs < 0) {
    throw invalidOption(WHERE, "maxAgeMs", "a number of milliseconds from 0", maxAgeMs);
  }
  const trust = resolveTrust(options.trust, WHERE);
  return { verify, trust, limits: resolveLimits(options.limits, WHERE), maxAgeMs };
}

function cachesOf(fetch: GuardedFetch) {
  const existing = caches.get(fetch);
  if (existing !== undefined) return existing;
  const created = { cards: new CardSource(fetch), keys: new SigningKeys(fetch) };
  caches.set(fetch, created);
  return created;
}

/** The signatures of a card that hold; none if it needs none. */
async function signedCards(
  json: Record<string, unknown>,
  url: URL,
  verify: Verify,
  trust: Trust,
  keys: SigningKeys,
  limits: Limits,
): Promise<SignedCard[]> {
  if (verify === "off") return [];
  if (trust.agentId !== undefined) {
    return [
      await verifyRuvectorSignature(json, trust.agentId, (thumbprint) => trust.revoked.has(thumbprint)),
    ];
  }
  if (isSigned(json)) return verifySignatures(json, url, trust, keys, limits);
  if (verify === "if-present") return [];
  throw new A2AError(`The agent card at ${url.origin} is not signed`, {
    code: "CARD_UNSIGNED",
    context: { url: url.href },
    hint: "Use verify: 'if-present' if the origin alone is proof enough, with trust: { tofu } to notice changes.",
  });
}

/** Which of the signatures counts, after asking the trust store if there is one. */
async function decide(
  json: Record<string, unknown>,
  url: URL,
  signed: readonly SignedCard[],
  trust: Trust,
): Promise<{ verification: Verification; payload: Record<string, unknown> } | undefined> {
  const { signatures: _, ...unsigned } = json;
  const pinned = signed.find(({ verification }) => verification.trust !== undefined);
  let chosen = pinned ?? signed[0];
  let reason = pinned?.verification.trust;
  if (trust.store !== undefined) {
    const { thumbprint, isFirstUse } = await recognise(trust.store, {
      agent: url.href,
      card: chosen?.payload ?? unsigned,
      thumbprints: (pinned === undefined ? signed : [pinned]).map(
        ({ verification }) => verification.thumbprint,
      ),
      isPinned: pinned !== undefined,
    });
    chosen = signed.find(({ verification }) => verification.thumbprint === thumbprint) ?? chosen;
    reason ??= isFirstUse ? "first-use" : "remembered";
  }
  if (chosen === undefined || reason === undefined) return undefined;
  return { payload: chosen.payload, verification: { ...chosen.verification, trust: reason } };
}

async function exposed(
  json: Record<string, unknown>,
  url: URL,
  verified: { verification: Verification; payload: Record<string, unknown> } | undefined,
  trust: Trust,
) {
  if (verified !== undefined) {
    const { payload, verification } = verified;
    const agentId = trust.agentId ?? verification.thumbprint;
    return { card: await readCard(payload), json: payload, verified: verification, agentId };
  }
  const card = await readCard(json);
  const interfaces = ownInterfaces(card.interfaces, url, trust.origins);
  const kept = withInterfaces(json, interfaces);
  return { card: { ...card, interfaces }, json: kept, verified: undefined, agentId: url.href };
}

/** The card with these of its interfaces. */
function withInterfaces(
  json: Record<string, unknown>,
  interfaces: AgentCard["interfaces"],
): Record<string, unknown> {
  if (!isLegacyCard(json)) return { ...json, supportedInterfaces: interfaces };
  const [first, ...others] = interfaces.map(({ url, protocolBinding }) => ({
    url,
    transport: protocolBinding,
  }));
  return { ...json, url: first?.url, preferredTransport: first?.transport, additionalInterfaces: others };
}
