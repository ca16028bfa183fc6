import { calculateJwkThumbprint, type JWK } from "jose";
import { A2AError } from "../../errors.js";
import { nextTurn } from "../../turns.js";
import { parseJson } from "../http/json-scan.js";
import type { Limits } from "../http/limits.js";
import { type CanonicalForm, type CanonicalPayload, canonicalPayloads } from "./canonical-card.js";
import { isObject } from "./card-shape.js";
import { isAllowedAlgorithm, verifyJws } from "./jws-algorithm.js";
import type { CandidateKey, KeyHint, SigningKeys } from "./signing-keys.js";
import type { Trust } from "./trust.js";

/** Who signed a card, and how that is known. */
export interface Verification {
  /** Name of the key; the AgentID in the form `ruvector`. */
  kid: string;
  /** RFC 7638 thumbprint (SHA-256, base64url) of the key. */
  thumbprint: string;
  alg: string;
  /** Which bytes were signed. */
  form: CanonicalForm;
  /**
   * Why the key counts: the caller pinned it (`key`, `thumbprint`, `agent-id`), listed its key set (`jku`), it is
   * published at the origin of the card (`origin`), or the agent was seen for the first time (`first-use`) or had that
   * key before (`remembered`).
   */
  trust: "key" | "thumbprint" | "agent-id" | "jku" | "origin" | "first-use" | "remembered";
}

/** A good signature and what it covers. */
export interface SignedCard {
  /** `trust` is missing if only a trust store can say whether the key counts. */
  verification: Omit<Verification, "trust"> & { trust: Verification["trust"] | undefined };
  /** The card as it was signed. */
  payload: Record<string, unknown>;
}

/** More are a way to keep a client busy; an agent that changes its key needs two. */
const MOST_SIGNATURES = 4;

/** `JOSE` is what the specification recommends, `JWT` what a library writes by itself. */
const TYPES = ["JOSE", "JOSE+JSON", "JWT"];

const LONGEST_HEADER = 8 * 1024;

/** Why signatures were not good enough; what is further down came closer. */
const REASONS = ["KEY_SET_REFUSED", "KEY_SET_FAILED", "CARD_SIGNATURE_INVALID", "CARD_SIGNATURE_UNTRUSTED"];

/**
 * Checks the signatures of a card (JWS, RFC 7515, over the canonical card) against the keys that count.
 *
 * @returns the good signatures: all by trusted keys, or, with a trust store, all that hold
 * @throws {@link A2AError} `CARD_SIGNATURE_INVALID`, `CARD_SIGNATURE_UNTRUSTED`, `KEY_SET_REFUSED` or `KEY_SET_FAILED` if none is
 * good
 */
export async function verifySignatures(
  card: Record<string, unknown>,
  cardUrl: URL,
  trust: Trust,
  keys: SigningKeys,
  limits: Limits,
): Promise<[SignedCard, ...SignedCard[]]> {
  const payloads = new EncodedPayloads(card);
  const good: SignedCard[] = [];
  const failures: A2AError[] = [];
  const unavailable = new Set<string>();
  for (const signature of signaturesOf(card)) {
    let header: KeyHint | undefined;
    try {
      header = readHeader(signature, limits);
      // What failed for one signature is not asked for by the next.
      if (header.jku !== undefined && unavailable.has(header.jku)) continue;
      good.push(await verifyOne(signature, header, payloads, cardUrl, trust, keys, limits));
    } catch (error) {
      if (!A2AError.isInstance(error) || !REASONS.includes(error.code)) throw error;
      if (error.code === "KEY_SET_FAILED" && header?.jku !== undefined) unavailable.add(header.jku);
      failures.push(error);
    }
  }
  const [first, ...others] = good;
  if (first !== undefined) return [first, ...others];
  throw (
    failures.sort((a, b) => REASONS.indexOf(b.code) - REASONS.indexOf(a.code))[0] ?? invalid("there is none")
  );
}

/** Whether a card has signatures at all. */
export function isSigned(card: Record<string, unknown>): boolean {
  const { signatures } = card;
  return (
    signatures !== undefined && signatures !== null && !(Array.isArray(signatures) && signatures.length === 0)
  );
}

interface Signature {
  protected: string;
  signature: string;
}

function signaturesOf({ signatures }: Record<string, unknown>): Signature[] {
  if (!Array.isArray(signatures)) throw invalid("'signatures' is no list");
  if (signatures.length > MOST_SIGNATURES) throw invalid(`there are more than ${MOST_SIGNATURES}`);
  return signatures.map((each: unknown) => {
    if (isObject(each) && typeof each.protected === "string" && typeof each.signature === "string") {
      return { protected: each.protected, signature: each.signature };
    }
    throw invalid("one lacks 'protected' or 'signature'");
  });
}

function readHeader({ protected: text }: Signature, limits: Limits): KeyHint {
  if (text.length > LONGEST_HEADER) throw invalid("its header is too long");
  let header: unknown;
  try {
    header = parseJson(Buffer.from(text, "base64url"), limits.jsonDepth);
  } catch {
    throw invalid("its header is no JSON");
  }
  const { alg, kid, typ, jku, jwk, crit } = isObject(header) ? header : {};
  if (!isAllowedAlgorithm(alg)) throw invalid("its algorithm is not allowed");
  if (typeof kid !== "string" || kid === "") throw invalid("it names no key");
  if (crit !== undefined) throw invalid("it demands an extension");
  if (typ !== undefined && !(typeof typ === "string" && TYPES.includes(typ.toUpperCase()))) {
    throw invalid("it is the signature of something else");
  }
  return {
    alg,
    kid,
    ...(typeof jku === "string" && { jku }),
    ...(isObject(jwk) && { jwk: jwk as JWK }),
  };
}

async function verifyOne(
  signature: Signature,
  hint: KeyHint,
  payloads: EncodedPayloads,
  cardUrl: URL,
  trust: Trust,
  keys: SigningKeys,
  limits: Limits,
): Promise<SignedCard> {
  let failure = untrusted(hint.kid);
  for await (const key of keys.candidates(hint, cardUrl, trust, limits)) {
    const { kid } = hint;
    const thumbprint = await calculateJwkThumbprint(key.jwk, "sha256").catch(() => undefined);
    if (thumbprint === undefined || trust.revoked.has(thumbprint)) continue;
    const why = reasonToTrust(key, thumbprint, hint, trust);
    if (why === "no") continue;
    const payload = await matching(signature, hint, key.jwk, payloads);
    if (payload === undefined) {
      failure = invalid(`it is not by the key '${shortened(kid)}', or the card was changed`);
      continue;
    }
    const { form, text } = payload;
    const verification = { kid, thumbprint, alg: hint.alg, form, trust: why === "ask" ? undefined : why };
    return { verification, payload: JSON.parse(text) as Record<string, unknown> };
  }
  throw failure;
}

/** `no` without doubt, `ask` if a trust store decides. */
function reasonToTrust(
  { source }: CandidateKey,
  thumbprint: string,
  { jku }: KeyHint,
  trust: Trust,
): Verification["trust"] | "ask" | "no" {
  if (source === "pinned") return "key";
  if (trust.thumbprints.has(thumbprint)) return "thumbprint";
  if (source === "jku" && jku !== undefined && trust.jku !== undefined) return "jku";
  if (trust.keys.length > 0 || trust.thumbprints.size > 0) return "no";
  if (trust.store !== undefined) return "ask";
  return source === "jku" ? "origin" : "no";
}

/** The payload that the signature is over, if any. */
async function matching(
  signature: Signature,
  { alg }: KeyHint,
  jwk: JWK,
  payloads: EncodedPayloads,
): Promise<CanonicalPayload | undefined> {
  const bytes = Buffer.from(signature.signature, "base64url");
  for await (const { payload, encoded } of payloads) {
    const input = Buffer.from(`${signature.protected}.${encoded}`);
    if (await verifyJws(alg, jwk, input, bytes)) return payload;
  }
  return undefined;
}

interface EncodedPayload {
  payload: CanonicalPayload;
  /** In base64url. */
  encoded: string;
}

/** The payloads of a card, each made and encoded once, in a turn of the event loop of its own. */
class EncodedPayloads {
  readonly #rest: Iterator<CanonicalPayload | undefined>;
  readonly #made: EncodedPayload[] = [];

  constructor(card: Record<string, unknown>) {
    this.#rest = canonicalPayloads(card);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EncodedPayload> {
    yield* this.#made;
    for (;;) {
      await nextTurn();
      const { done, value: payload } = this.#rest.next();
      if (done) return;
      if (payload === undefined) continue;
      if (this.#made.some((other) => other.payload.text === payload.text)) continue;
      const made = { payload, encoded: Buffer.from(payload.text).toString("base64url") };
      this.#made.push(made);
      yield made;
    }
  }
}

function invalid(why: string): A2AError {
  return new A2AError(`The signature of the agent card does not hold: ${why}`, {
    code: "CARD_SIGNATURE_INVALID",
  });
}

function untrusted(kid: string): A2AError {
  return new A2AError(`The agent card is signed, but by a key that is not trusted: '${shortened(kid)}'`, {
    code: "CARD_SIGNATURE_UNTRUSTED",
    context: { kid: shortened(kid) },
    hint: "Pin the key with trust: { keys } or trust: { thumbprints }, or list its key set in trust.jku.",
  });
}

function shortened(kid: string): string {
  return kid.replace(/[^\x21-\x7e]/g, "?").slice(0, 100);
}
