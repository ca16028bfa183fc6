import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A certificate and its key, in PEM. */
export interface Identity {
  cert: string;
  key: string;
}

/** An authority that certifies servers and clients. */
export interface Authority extends Identity {
  /** A certificate for a name, valid for servers called so, and for clients. */
  issue(name: string, options?: { expired?: boolean }): Identity;
}

/** Makes a certificate authority with a fresh P-256 key: X.509 version 3 (RFC 5280), written as DER by hand. */
export function createAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const cert = certificate({ subject: name, issuer: name, publicKey, signer: privateKey, authority: true });
  return {
    cert,
    key: pem(privateKey),
    issue(subject, { expired = false } = {}) {
      const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const of = {
        subject,
        issuer: name,
        publicKey: keys.publicKey,
        signer: privateKey,
        authority: false,
        expired,
      };
      return { cert: certificate(of), key: pem(keys.privateKey) };
    },
  };
}

interface CertificateOf {
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  signer: KeyObject;
  authority: boolean;
  expired?: boolean;
}

const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();

function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const { length } = body;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const octets = (content: Uint8Array) => der(0x04, content);
const time = (date: Date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, "")}Z`));
const commonName = (name: string) =>
  sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(name)))));

const ECDSA_WITH_SHA256 = sequence(oid("2a8648ce3d040302"));
let serial = 1;

function certificate({ subject, issuer, publicKey, signer, authority, expired }: CertificateOf): string {
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000);
  const constraints = sequence(
    oid("551d13"),
    der(0x01, Buffer.from([255])),
    octets(sequence(der(1, Buffer.from([255])))),
  );
  const names = sequence(oid("551d11"), octets(sequence(der(0x82, Buffer.from(subject)))));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([serial++])),
    ECDSA_WITH_SHA256,
    commonName(issuer),
    sequence(time(hours(-48)), time(hours(expired ? -24 : 24))),
    commonName(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(authority ? constraints : names)),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", body, signer));
  const base64 = sequence(body, ECDSA_WITH_SHA256, signature).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}
