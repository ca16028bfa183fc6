import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { calculateJwkThumbprint, type JWK } from "jose";
import { A2AError } from "../../errors.js";
import { jcs } from "./canonical-card.js";
import { isObject } from "./card-shape.js";
import type { SignedCard } from "./card-signature.js";

/** The fields of a card of the profile. Others are not signed; missing ones with a default are signed as that. */
const CARD: Record<string, unknown> = {
  name: undefined,
  description: undefined,
  url: undefined,
  provider: undefined,
  version: undefined,
  capabilities: undefined,
  skills: undefined,
  authentication: undefined,
  metadata: null,
};
const PROVIDER = { organization: undefined, url: undefined };
const CAPABILITIES = { streaming: false, pushNotifications: false };
const SKILL = {
  id: undefined,
  name: undefined,
  description: undefined,
  tags: [],
  inputModes: [],
  outputModes: [],
};
const AUTHENTICATION = { schemes: [] };

/**
 * Checks the signature at `metadata.ruvector.signature`, as ruvector's agents make it: Ed25519 over the card without
 * it, names sorted, and the key in the card itself. Such a key proves nothing by itself, so the AgentID that it hashes
 * to must be known beforehand.
 *
 * Numbers with a fraction of zero (`1.0`) in the metadata cannot be told from whole ones here: such a signature does
 * not verify.
 *
 * @param agentId - SHAKE-256 of the key, 32 bytes in lower-case hexadecimal
 * @throws {@link A2AError} `CARD_UNSIGNED`, `CARD_SIGNATURE_INVALID` or `CARD_SIGNATURE_UNTRUSTED`
 */
export async function verifyRuvectorSignature(
  card: Record<string, unknown>,
  agentId: string,
  isRevoked: (thumbprint: string) => boolean,
): Promise<SignedCard> {
  const { signature, unsigned } = takeSignature(card);
  const { alg, signature: hex, public_key: key } = signature;
  if (alg !== "ed25519-hex" || !isHex(hex, 64) || !isHex(key, 32)) throw invalid("it is malformed");
  const publicKey = Buffer.from(key, "hex");
  const owner = createHash("shake256", { outputLength: 32 }).update(publicKey).digest("hex");
  const jwk: JWK = { kty: "OKP", crv: "Ed25519", x: publicKey.toString("base64url") };
  const thumbprint = await calculateJwkThumbprint(jwk, "sha256");
  if (owner !== agentId || isRevoked(thumbprint)) {
    throw new A2AError("The agent card is signed by another agent than the one that was expected", {
      code: "CARD_SIGNATURE_UNTRUSTED",
      context: { agentId: owner },
      hint: "Compare trust.agentId with the AgentID that its owner gives.",
    });
  }
  const payload = signedFields(unsigned);
  if (!verify(null, Buffer.from(jcs(payload)), keyObject(jwk), Buffer.from(hex, "hex"))) {
    throw invalid("it is not by the key beside it, or the card was changed");
  }
  const verification = {
    kid: agentId,
    thumbprint,
    alg: "EdDSA",
    form: "ruvector",
    trust: "agent-id",
  } as const;
  return { verification, payload };
}

function takeSignature({ metadata, ...card }: Record<string, unknown>) {
  const ruvector = isObject(metadata) ? metadata.ruvector : undefined;
  const { signature, ...rest } = isObject(ruvector) ? ruvector : {};
  if (!isObject(signature)) {
    throw new A2AError("The agent card has no signature at metadata.ruvector.signature", {
      code: "CARD_UNSIGNED",
    });
  }
  return { signature, unsigned: { ...card, metadata: { ...(metadata as object), ruvector: rest } } };
}

function signedFields(card: Record<string, unknown>): Record<string, unknown> {
  const fields = pick(card, CARD);
  const nested: [string, Record<string, unknown>][] = [
    ["provider", PROVIDER],
    ["capabilities", CAPABILITIES],
    ["authentication", AUTHENTICATION],
  ];
  for (const [name, shape] of nested) {
    if (isObject(fields[name])) fields[name] = pick(fields[name], shape);
  }
  if (Array.isArray(fields.skills)) {
    fields.skills = fields.skills.map((skill: unknown) => (isObject(skill) ? pick(skill, SKILL) : skill));
  }
  return fields;
}

function pick(json: Record<string, unknown>, shape: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(shape).map(([name, byDefault]) => [name, json[name] ?? byDefault] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

function isHex(value: unknown, bytes: number): value is string {
  return typeof value === "string" && value.length === 2 * bytes && /^[0-9a-f]+$/i.test(value);
}

function keyObject(jwk: JWK): KeyObject {
  return createPublicKey({ key: { ...jwk }, format: "jwk" });
}

function invalid(why: string): A2AError {
  return new A2AError(`The signature of the agent card does not hold: ${why}`, {
    code: "CARD_SIGNATURE_INVALID",
  });
}
