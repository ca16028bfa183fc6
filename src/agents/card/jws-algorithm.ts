import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import type { JWK } from "jose";

/** What an algorithm of RFC 7518 or RFC 8037 demands of a key, and how Node.js is told about it. */
interface Algorithm {
  /** `crv` of the key; RSA keys have none. */
  curve?: string;
  hash: string | null;
  options?: { dsaEncoding: "ieee-p1363" } | { padding: number; saltLength: number };
}

const ECDSA = { dsaEncoding: "ieee-p1363" } as const;
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

/** None that works with a secret, none without a key. */
const ALGORITHMS = new Map<unknown, Algorithm>([
  ["ES256", { curve: "P-256", hash: "sha256", options: ECDSA }],
  ["ES384", { curve: "P-384", hash: "sha384", options: ECDSA }],
  ["EdDSA", { curve: "Ed25519", hash: null }],
  ["Ed25519", { curve: "Ed25519", hash: null }],
  ["RS256", { hash: "sha256" }],
  ["PS256", { hash: "sha256", options: PSS }],
]);

/** RFC 7518, 3.3. */
const SHORTEST_MODULUS = 2048;

/** Whether signatures of an algorithm are accepted at all. */
export function isAllowedAlgorithm(alg: unknown): alg is string {
  return ALGORITHMS.has(alg);
}

/**
 * Whether a signature holds; false, too, if the key is none for that algorithm. The work is done on another thread:
 * for signatures over a whole card, jose would decode and encode it again on this one.
 *
 * @param input - header and payload, encoded and joined by a dot (RFC 7515, 5.2)
 */
export async function verifyJws(alg: string, jwk: JWK, input: Buffer, signature: Buffer): Promise<boolean> {
  const algorithm = ALGORITHMS.get(alg);
  const key = algorithm && publicKey(jwk, algorithm);
  if (algorithm === undefined || key === undefined) return false;
  return new Promise((resolve) => {
    verify(algorithm.hash, input, { key, ...algorithm.options }, signature, (error, holds) => {
      resolve(error === null && holds);
    });
  });
}

function publicKey({ kty, crv, n, e, x, y }: JWK, { curve }: Algorithm): KeyObject | undefined {
  const members = kty === "RSA" ? { kty, n, e } : { kty, crv, x, y };
  if ((kty === "RSA") !== (curve === undefined) || (kty !== "RSA" && crv !== curve)) return undefined;
  try {
    // Public members only: of a private key by mistake, nothing else is read.
    const key = createPublicKey({ key: members as JsonWebKey, format: "jwk" });
    const { modulusLength = SHORTEST_MODULUS } = key.asymmetricKeyDetails ?? {};
    return modulusLength >= SHORTEST_MODULUS ? key : undefined;
  } catch {
    return undefined;
  }
}
