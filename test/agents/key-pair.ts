import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";

/**
 * A fresh P-256 key, read from PEM: Node.js 20 may lock up when it collects the job that has made a key just while that
 * key is exported as JWK.
 */
export function keyPair(): { privateKey: KeyObject; publicKey: KeyObject } {
  const pem = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return { privateKey: createPrivateKey(pem.privateKey), publicKey: createPublicKey(pem.publicKey) };
}
