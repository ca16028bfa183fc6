import {
  createPrivateKey,
  createPublicKey,
  KeyObject,
  type JsonWebKey as NodeJsonWebKey,
  sign,
  verify,
} from "node:crypto";
import type { BundleFacts, BundleSignature } from "../../native/binding.js";
import { ConfigError, LakeError } from "../errors.js";

/** A private Ed25519 key: a `KeyObject`, a PEM text (PKCS #8) or a JSON Web Key. */
export type BundleSigningKey = KeyObject | string | NodeJsonWebKey;

/** A public Ed25519 key: a `KeyObject`, a PEM text (SPKI), a JSON Web Key, or the 64 hexadecimal digits of its 32 bytes. */
export type BundlePublicKey = KeyObject | string | NodeJsonWebKey;

/** @throws {@link ConfigError} `INVALID_OPTION`; the message never holds a part of the key */
export function toSigningKey(key: BundleSigningKey, where: string): KeyObject {
  return toKey("signingKey", where, "private", () => {
    if (key instanceof KeyObject) return key;
    return typeof key === "string" ? createPrivateKey(key) : createPrivateKey({ key, format: "jwk" });
  });
}

/** @throws {@link ConfigError} `INVALID_OPTION` */
export function toPublicKey(key: BundlePublicKey, where: string): KeyObject {
  return toKey("publicKey", where, "public", () => {
    if (key instanceof KeyObject) return key.type === "private" ? createPublicKey(key) : key;
    if (typeof key !== "string") return createPublicKey({ key, format: "jwk" });
    return /^[0-9a-f]{64}$/i.test(key) ? fromHex(key) : createPublicKey(key);
  });
}

function toKey(option: string, where: string, type: string, make: () => KeyObject): KeyObject {
  const refuse = (cause?: unknown) =>
    new ConfigError(`${where}: '${option}' must be a ${type} Ed25519 key`, {
      code: "INVALID_OPTION",
      context: { option, expected: `a ${type} Ed25519 key` },
      hint: `generateKeyPairSync("ed25519") of node:crypto makes a pair of keys.`,
      cause,
    });
  let key: KeyObject;
  try {
    key = make();
  } catch (error) {
    throw refuse(error);
  }
  if (key.type !== type || key.asymmetricKeyType !== "ed25519") throw refuse();
  return key;
}

function fromHex(hex: string): KeyObject {
  const x = Buffer.from(hex, "hex").toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

/** The 32 bytes of a public key, or of that of a private one, as 64 hexadecimal digits. */
function toHex(key: KeyObject): string {
  const { x = "" } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  return Buffer.from(x, "base64url").toString("hex");
}

/** The signature of a bundle's witness. */
export function signBundle(facts: BundleFacts, key: KeyObject): BundleSignature {
  const signature = sign(null, Buffer.from(facts.signed), key).toString("hex");
  return { algorithm: "ed25519", publicKey: toHex(key), signature };
}

/**
 * Checks the signature of a bundle, if it has one, by the key it names, and that this is one of those expected.
 *
 * @param expected - keys of which one must have signed; `undefined` accepts any, and none
 * @returns the key that signed, as hexadecimal digits
 * @throws {@link LakeError} `SIGNATURE_MISSING`, `SIGNATURE_INVALID`
 */
export function checkSignature(
  facts: BundleFacts,
  expected: readonly KeyObject[] | undefined,
  dir: string,
  where: string,
): string | undefined {
  const { signature } = facts;
  const trusted = expected?.map(toHex);
  if (signature === undefined) {
    if (trusted === undefined) return undefined;
    throw new LakeError(`${where}: the bundle in ${dir} is not signed`, {
      code: "SIGNATURE_MISSING",
      context: { path: dir, expected: trusted },
      hint: "Publish it with { signingKey }, or open it without expect.publicKey.",
    });
  }
  const { algorithm, publicKey } = signature;
  const refuse = (reason: string) =>
    new LakeError(`${where}: the signature of the bundle in ${dir} is not valid: ${reason}`, {
      code: "SIGNATURE_INVALID",
      context: { path: dir, reason, publicKey, expected: trusted },
      hint: "Somebody else has signed or changed the bundle: get it again from its publisher.",
    });
  if (algorithm !== "ed25519") throw refuse(`the algorithm '${algorithm}' is unknown`);
  if (!/^[0-9a-f]{64}$/.test(publicKey) || !/^[0-9a-f]{128}$/.test(signature.signature)) {
    throw refuse("key or signature are no hexadecimal digits of their length");
  }
  if (trusted !== undefined && !trusted.includes(publicKey)) throw refuse("another key has made it");
  if (!isValid(facts.signed, publicKey, signature.signature)) throw refuse("it does not fit the witness");
  return publicKey;
}

function isValid(signed: string, publicKey: string, signature: string): boolean {
  try {
    return verify(null, Buffer.from(signed), fromHex(publicKey), Buffer.from(signature, "hex"));
  } catch {
    // Bytes that are no point of the curve.
    return false;
  }
}
