import { createPrivateKey, type KeyObject } from "node:crypto";
import type { AgentCard } from "@a2a-js/sdk";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";
import { ConfigError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import type { ServerSdk } from "../peer/a2a-sdk.js";

/** Something a served agent can do. */
export interface SkillInput {
  id: string;
  name?: string;
  description: string;
  tags?: readonly string[];
  examples?: readonly string[];
}

/** What a served agent says about itself. */
export interface CardInput {
  name: string;
  description: string;
  /** Version of the agent. Default `"1.0.0"`. */
  version?: string;
  /** Default: one skill with the name and description of the agent. */
  skills?: readonly SkillInput[];
  provider?: { organization: string; url: string };
  documentationUrl?: string;
  iconUrl?: string;
}

/** A private key that signs the card: a JWK, or a key of `node:crypto`. EC P-256 or P-384, Ed25519, or RSA. */
export type SigningKey = JWK | KeyObject;

/** The card as it is sent, with the key set that verifies it. */
export interface ServedCard {
  /** The card as JSON. */
  json: string;
  /** The public key as a JWKS; `undefined` for an unsigned card. */
  jwks: string | undefined;
  /** Thumbprint of the key (RFC 7638); `undefined` for an unsigned card. */
  thumbprint: string | undefined;
}

/** Where the card leads and what the agent behind it can do. */
export interface CardFacts {
  url: string;
  pushNotifications: boolean;
  /** How callers are told apart, if they are. */
  auth: "bearer" | "other" | undefined;
}

const NAMES = ["name", "description", "version", "skills", "provider", "documentationUrl", "iconUrl"];
const SKILL_NAMES = ["id", "name", "description", "tags", "examples"];

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function checkCard(card: CardInput, where: string): void {
  checkOptions(card, NAMES, `${where}: card`);
  for (const name of ["name", "description"] as const) {
    if (typeof card?.[name] !== "string" || card[name] === "") {
      throw invalidOption(where, `card.${name}`, "a text that is not empty", card?.[name]);
    }
  }
  if (card.skills !== undefined && !Array.isArray(card.skills)) {
    throw invalidOption(where, "card.skills", "an array", card.skills);
  }
  for (const skill of card.skills ?? []) {
    checkOptions(skill, SKILL_NAMES, `${where}: card.skills`);
    for (const name of ["id", "description"] as const) {
      if (typeof skill[name] !== "string" || skill[name] === "") {
        throw invalidOption(where, `card.skills.${name}`, "a text that is not empty", skill[name]);
      }
    }
  }
}

/** The card in the terms of protocol 1.0. No required field is empty, so that all canonical forms of it are the same. */
export function toWireCard(card: CardInput, { url, pushNotifications, auth }: CardFacts): AgentCard {
  const { name, description, version = "1.0.0", provider, documentationUrl, iconUrl } = card;
  const skills = card.skills ?? [{ id: "answer", name, description }];
  const scheme = {
    $case: "httpAuthSecurityScheme",
    value: { description: "", scheme: "Bearer", bearerFormat: "" },
  } as const;
  const bindings = ["JSONRPC 1.0", "HTTP+JSON 1.0", "JSONRPC 0.3"].map((each) => each.split(" "));
  return {
    name,
    description,
    version,
    supportedInterfaces: bindings.map(([protocolBinding = "", protocolVersion = ""]) => ({
      url,
      protocolBinding,
      protocolVersion,
      tenant: "",
    })),
    provider: provider === undefined ? undefined : { ...provider },
    documentationUrl,
    iconUrl,
    capabilities: { streaming: true, pushNotifications, extensions: [], extendedAgentCard: false },
    securitySchemes: auth === "bearer" ? { bearer: { scheme } } : {},
    securityRequirements: auth === "bearer" ? [{ schemes: { bearer: { list: [] } } }] : [],
    defaultInputModes: ["text/plain", "application/json"],
    defaultOutputModes: ["text/plain", "application/json"],
    skills: skills.map((skill) => ({
      id: skill.id,
      name: skill.name ?? skill.id,
      description: skill.description,
      tags: [...(skill.tags?.length ? skill.tags : [skill.id])],
      examples: [...(skill.examples ?? [])],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
    })),
    signatures: [],
  };
}

/**
 * Signs a card and writes it out, with the fields by which callers of protocol 0.3 find their way; those are no part of
 * what is signed (spec §8.4 covers the fields of 1.0).
 */
export async function serveCard(
  { types }: ServerSdk,
  card: AgentCard,
  key: SigningKey | undefined,
  jwksUrl: string,
): Promise<ServedCard> {
  const legacy = {
    url: card.supportedInterfaces[0]?.url,
    preferredTransport: "JSONRPC",
    protocolVersion: "0.3.0",
  };
  const write = (form: object) => JSON.stringify({ ...form, ...legacy });
  const form = types.AgentCard.toJSON(card) as object;
  if (key === undefined) return { json: write(form), jwks: undefined, thumbprint: undefined };
  const { privateKey, alg, publicJwk, thumbprint } = await readKey(key);
  const sign = types.generateAgentCardSignature(privateKey, {
    alg,
    kid: thumbprint,
    typ: "JOSE",
    jku: jwksUrl,
  });
  const jwks = JSON.stringify({ keys: [{ ...publicJwk, kid: thumbprint, alg, use: "sig" }] });
  // The JSON form, because the signer of the SDK loses the security schemes of its own type.
  return { json: write(await sign(form as AgentCard)), jwks, thumbprint };
}

async function readKey(key: SigningKey) {
  let privateKey: KeyObject;
  try {
    privateKey =
      "export" in key && typeof key.export === "function" ? (key as KeyObject) : fromJwk(key as JWK);
  } catch (cause) {
    throw unusable("it cannot be read", cause);
  }
  if (privateKey.type !== "private") throw unusable("it is not a private key");
  privateKey = copyOf(privateKey);
  const jwk = await exportJWK(privateKey);
  const alg = algorithmOf(jwk);
  if (alg === undefined) throw unusable(`keys of type ${jwk.kty} ${jwk.crv ?? ""} sign no cards`);
  const { kty, crv, x, y, n, e } = jwk;
  const publicJwk = Object.fromEntries(
    Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined),
  ) as JWK;
  return { privateKey, alg, publicJwk, thumbprint: await calculateJwkThumbprint(publicJwk) };
}

/**
 * A key that nothing else refers to. Node.js 20 locks up if it collects the job that has made a key just while that key is
 * exported as JWK, by us or in order to sign.
 */
function copyOf(key: KeyObject): KeyObject {
  const encoding = { type: "pkcs8", format: "der" } as const;
  return createPrivateKey({ key: key.export(encoding), ...encoding });
}

function fromJwk(key: JWK): KeyObject {
  return createPrivateKey({ key: key as never, format: "jwk" });
}

function algorithmOf({ kty, crv }: JWK): string | undefined {
  if (kty === "RSA") return "PS256";
  if (kty === "OKP" && crv === "Ed25519") return "EdDSA";
  if (kty !== "EC") return undefined;
  return crv === "P-256" ? "ES256" : crv === "P-384" ? "ES384" : undefined;
}

function unusable(why: string, cause?: unknown): ConfigError {
  return new ConfigError(`serveAsA2A(): 'signingKey' cannot be used: ${why}`, {
    code: "INVALID_OPTION",
    context: { option: "signingKey" },
    hint: `crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey makes one`,
    cause,
  });
}
