import type { KeyObject } from "node:crypto";
import { exportJWK, FlattenedSign, type JWK } from "jose";
import { serve, type TestServer } from "./hostile-server.js";
import { keyPair } from "./key-pair.js";

/** Somebody who signs cards. */
export interface Signer {
  /** The public key, with `kid`. */
  jwk: JWK;
  privateKey: KeyObject;
}

/** A fresh ES256 key. */
export async function signer(kid = "key-1"): Promise<Signer> {
  const { publicKey, privateKey } = keyPair();
  return { jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256" }, privateKey };
}

/** A card of A2A 1.0 without empty fields. */
export function cardOf(origin: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: "Echo",
    description: "Says it again",
    version: "1.0.0",
    supportedInterfaces: [{ url: `${origin}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    capabilities: { streaming: true },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [{ id: "echo", name: "Echo", description: "Repeats", tags: ["text"] }],
    ...more,
  };
}

/** The card with a signature: over its JSON with sorted names, which is the canonical form of what tests use. */
export async function signCard(
  card: Record<string, unknown>,
  { jwk, privateKey }: Signer,
  header: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const { signatures = [], ...unsigned } = card;
  const jws = await new FlattenedSign(Buffer.from(JSON.stringify(sorted(unsigned))))
    .setProtectedHeader({ alg: "ES256", kid: jwk.kid ?? "", typ: "JOSE", ...header })
    .sign(privateKey);
  const signature = { protected: jws.protected, signature: jws.signature };
  return { ...card, signatures: [...(signatures as unknown[]), signature] };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted((value as Record<string, unknown>)[name])]));
}

/** A server with a card at the well-known place; `card` is asked for at every request. */
export function serveCard(card: (seen: TestServer) => unknown): Promise<TestServer> {
  return serve(async (request, response, seen) => {
    if (request.url !== "/.well-known/agent-card.json") {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    const given = await card(seen);
    response.end(typeof given === "string" ? given : JSON.stringify(given));
  });
}
