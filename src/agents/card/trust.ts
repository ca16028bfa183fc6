import type { JWK } from "jose";
import { checkOptions, invalidOption } from "../../options.js";
import { FileTrustStore, type TrustStore } from "./trust-store.js";

/**
 * Whether a card must be signed: `require` - yes, by a key that is trusted; `if-present` - a card without signatures
 * passes, one with signatures must have a good one; `off` - signatures are not looked at.
 */
export type Verify = "require" | "if-present" | "off";

/** Whose signatures of agent cards count. Without any of these, keys from the origin of the card itself do. */
export interface TrustOptions {
  /** Public keys. */
  keys?: readonly JWK[];
  /** Thumbprints of public keys (RFC 7638, SHA-256, base64url). */
  thumbprints?: readonly string[];
  /** URLs of key sets: their keys count, and no other URL is fetched for keys. */
  jku?: readonly string[];
  /**
   * Trust on first use: a directory, or another store. The key of an agent's first card counts from then on; another
   * key, or another card if cards are not signed, is the error `CARD_CHANGED`.
   */
  tofu?: string | TrustStore;
  /** Thumbprints of keys that count no longer, whatever else is said. */
  revoked?: readonly string[];
  /** Other origins than that of the card at which interfaces may be although no signature says so. */
  origins?: readonly string[];
  /**
   * AgentID of an agent with the profile `metadata.ruvector.signature`: SHAKE-256 of its Ed25519 key, 32 bytes in
   * hexadecimal. Its card must be signed by that key.
   */
  agentId?: string;
}

/** {@link TrustOptions}, checked. */
export interface Trust {
  keys: readonly JWK[];
  thumbprints: ReadonlySet<string>;
  /** `undefined` without a list. */
  jku: ReadonlySet<string> | undefined;
  store: TrustStore | undefined;
  revoked: ReadonlySet<string>;
  origins: ReadonlySet<string>;
  agentId: string | undefined;
}

const NAMES = ["keys", "thumbprints", "jku", "tofu", "revoked", "origins", "agentId"];
const THUMBPRINT = /^[\w-]{43}$/;

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function resolveTrust(given: TrustOptions | undefined, where: string): Trust {
  checkOptions(given, NAMES, `${where}: trust`);
  const { keys = [], tofu, agentId } = given ?? {};
  if (!Array.isArray(keys) || !keys.every(isPublicKey)) {
    throw invalidOption(where, "trust.keys", "an array of public keys as JWK", keys);
  }
  if (agentId !== undefined && !(typeof agentId === "string" && /^[0-9a-f]{64}$/i.test(agentId))) {
    throw invalidOption(where, "trust.agentId", "64 hexadecimal digits", agentId);
  }
  const thumbprint = (text: string) => (THUMBPRINT.test(text) ? text : undefined);
  return {
    keys,
    thumbprints: texts(given, "thumbprints", where, "RFC 7638 thumbprints", thumbprint) ?? new Set(),
    jku: texts(given, "jku", where, "URLs", (text) => (URL.canParse(text) ? new URL(text).href : undefined)),
    store: resolveStore(tofu, where),
    revoked: texts(given, "revoked", where, "RFC 7638 thumbprints", thumbprint) ?? new Set(),
    origins: texts(given, "origins", where, "origins", originOf) ?? new Set(),
    agentId: agentId?.toLowerCase(),
  };
}

function resolveStore(tofu: string | TrustStore | undefined, where: string): TrustStore | undefined {
  if (tofu === undefined || (typeof tofu === "string" && tofu !== "")) {
    return tofu === undefined ? undefined : new FileTrustStore(tofu);
  }
  const methods = ["get", "add", "replace", "remove"] as const;
  if (typeof tofu === "object" && tofu !== null && methods.every((name) => typeof tofu[name] === "function"))
    return tofu;
  throw invalidOption(where, "trust.tofu", "a directory or a TrustStore", tofu);
}

function texts(
  given: TrustOptions | undefined,
  name: "thumbprints" | "jku" | "revoked" | "origins",
  where: string,
  expected: string,
  normalize: (text: string) => string | undefined,
): Set<string> | undefined {
  const list = given?.[name];
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw invalidOption(where, `trust.${name}`, `an array of ${expected}`, list);
  return new Set(
    list.map((text: unknown) => {
      const normal = typeof text === "string" ? normalize(text) : undefined;
      if (normal === undefined) throw invalidOption(where, `trust.${name}`, `an array of ${expected}`, text);
      return normal;
    }),
  );
}

/** A private key among the trusted ones is a mistake that should be noticed at once. */
function isPublicKey(key: unknown): boolean {
  const { kty, d, k } = (key ?? {}) as JWK;
  return typeof kty === "string" && kty !== "oct" && d === undefined && k === undefined;
}

function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { origin } = new URL(text);
  return origin === "null" ? undefined : origin;
}
