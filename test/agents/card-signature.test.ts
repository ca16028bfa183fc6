import { createHash, createHmac, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { calculateJwkThumbprint, exportSPKI, importJWK, type JWK } from "jose";
import { type DiscoverOptions, discoverAgent } from "rulake/agents";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { bestOfThree } from "../timing.js";
import { failure, serve } from "./hostile-server.js";
import { cardOf, serveCard, signCard, signer } from "./signed-cards.js";

type Json = Record<string, unknown>;

interface Vector {
  key: JWK;
  card: Json;
}

const vectors = (name: string) => JSON.parse(readFileSync(inRoot("test/fixtures/agent-cards", name), "utf8"));
const python: Vector[] = vectors("python-1.3.0.json");
const legacy: Vector[] = vectors("python-0.3.26.json");
const javascript: Record<string, Vector> = vectors("javascript-1.3.0.json");
const ruvector: { agentId: string; card: Json } = vectors("ruvector.json");

function vector(name: string): Vector {
  const found = javascript[name];
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

async function discover(card: unknown, trust: DiscoverOptions["trust"], more: DiscoverOptions = {}) {
  const server = await serveCard(() => card);
  return discoverAgent(server.origin, {
    network: { allowLoopback: true },
    verify: "require",
    ...(trust && { trust }),
    ...more,
  });
}

describe("cards that SDKs signed", () => {
  it.each(python.map((each) => [each.key.kid, each] as const))(
    "by Python 1.3.0 with %s",
    async (kid, { key, card }) => {
      const { verified, card: view, json } = await discover(card, { keys: [key] });
      const thumbprint = await calculateJwkThumbprint(key);
      expect(verified).toEqual({ kid, thumbprint, alg: key.alg, form: "sdk", trust: "key" });
      expect(view.name).toBe("Übersetzer 翻訳 𝒜");
      expect(view.description).toBe('Says "hello" – and more');
      expect(view.interfaces).toHaveLength(2);
      expect(Object.keys(view.securitySchemes)).toEqual(["🔑 key", "\ufb33 other"]);
      expect(json).not.toHaveProperty("signatures");
    },
  );

  it.each(["strict", "compat"])("by JavaScript 1.3.0, served %s", async (name) => {
    const { key, card } = vector(name);
    const { verified, card: view } = await discover(card, { keys: [key] });
    expect([verified?.form, view.capabilities.extendedAgentCard]).toEqual(["sdk", false]);
  });

  it("by Python 0.3.26, whose canonical form is its own", async () => {
    const [{ key, card } = vector("")] = legacy;
    const { verified, card: view } = await discover(card, { keys: [key] });
    expect(verified?.form).toBe("sdk-0.3");
    expect(view.interfaces).toEqual([
      { url: "https://agent.example/rpc", protocolBinding: "JSONRPC", protocolVersion: "0.3.0" },
    ]);
  });
});

describe("traps of signatures", () => {
  it("empty required fields may be signed (specification) or left out (SDKs)", async () => {
    const { key, card } = vector("spec");
    const { verified, json } = await discover(card, { keys: [key] });
    expect(verified?.form).toBe("spec");
    expect(json.skills).toEqual([]);
    expect(json.description).toBe("");
  });

  it("all of a card may be signed as it stands", async () => {
    const { key, card } = vector("raw");
    const { verified, json } = await discover(card, { keys: [key] });
    expect([verified?.form, json.extra]).toEqual(["raw", { a: [1, null, ""] }]);
  });

  it("fields beside the signed ones are not believed", async () => {
    const evil = "http://evil.example/";
    const added = {
      url: evil,
      preferredTransport: "JSONRPC",
      additionalInterfaces: [{ url: evil, transport: "JSONRPC" }],
      protocolVersion: "0.3.0",
      security: [],
      unknown: evil,
    };
    for (const { key, card } of [...python, vector("spec"), vector("strict")]) {
      const { json, card: view, verified } = await discover({ ...card, ...added }, { keys: [key] });
      expect(verified).toBeDefined();
      expect(JSON.stringify([json, view])).not.toContain("evil");
    }
  });

  it("every signed field counts", async () => {
    const { key, card } = python[0] ?? vector("");
    const changes: [string, (card: Json) => unknown][] = [
      ["name", (each) => ({ ...each, name: "Other" })],
      [
        "interface",
        (each) => ({
          ...each,
          supportedInterfaces: [{ ...(each.supportedInterfaces as Json[])[0], url: "https://evil.example/" }],
        }),
      ],
      ["schemes", (each) => ({ ...each, securitySchemes: {} })],
      ["flag", (each) => ({ ...each, capabilities: { ...(each.capabilities as Json), streaming: true } })],
      [
        "missing flag",
        ({ capabilities, ...each }) => ({ ...each, capabilities: { pushNotifications: true } }),
      ],
      ["extra icon", (each) => ({ ...each, iconUrl: "https://evil.example/" })],
    ];
    for (const [what, change] of changes) {
      const error = await failure(discover(change(structuredClone(card)), { keys: [key] }));
      expect(error.code, what).toBe("CARD_SIGNATURE_INVALID");
    }
  });

  it("a card that lost a field for clients of 0.3 fails, and the header that prevents it is sent", async () => {
    const { key, card } = vector("compat-unversioned");
    expect((await failure(discover(card, { keys: [key] }))).code).toBe("CARD_SIGNATURE_INVALID");
    const server = await serve((request, response) => {
      const name = request.headers["a2a-version"] === "1.0" ? "compat" : "compat-unversioned";
      response.end(JSON.stringify(vector(name).card));
    });
    const trust = { keys: [vector("compat").key] };
    const { verified } = await discoverAgent(server.origin, { network: { allowLoopback: true }, trust });
    expect(verified?.trust).toBe("key");
  });

  it("'typ' may be missing, and must not be that of something else", async () => {
    for (const [name, outcome] of [
      ["no-typ", "sdk"],
      ["typ-jwt", "sdk"],
      ["typ-other", "CARD_SIGNATURE_INVALID"],
      ["no-kid", "CARD_SIGNATURE_INVALID"],
    ] as const) {
      const { key, card } = vector(name);
      const found = discover(card, { keys: [key] }).then(
        ({ verified }) => verified?.form,
        (error) => error.code,
      );
      expect(await found, name).toBe(outcome);
    }
  });
});

describe("algorithms", () => {
  const base64url = (value: unknown) =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

  it("that sign with nothing or with what everybody knows are refused", async () => {
    const { key, card } = vector("no-typ");
    const { signatures: _, ...unsigned } = card;
    const payload = base64url(unsigned);
    const spki = await exportSPKI((await importJWK(key, "ES256")) as never);
    const secrets = [
      spki,
      JSON.stringify(key),
      createPublicKey(spki).export({ type: "spki", format: "der" }),
      "",
    ];
    for (const alg of ["none", "None", "HS256", "HS512", "ES256K", "RS1", "", undefined, 7]) {
      for (const secret of secrets) {
        const header = base64url({ alg, kid: key.kid, typ: "JOSE" });
        const hmac = createHmac("sha256", secret).update(`${header}.${payload}`).digest("base64url");
        for (const signature of [hmac, ""]) {
          const forged = { ...unsigned, signatures: [{ protected: header, signature }] };
          for (const trust of [{ keys: [key] }, { thumbprints: [await calculateJwkThumbprint(key)] }]) {
            expect((await failure(discover(forged, trust))).code).toBe("CARD_SIGNATURE_INVALID");
          }
        }
      }
    }
  });

  it("do not come from the unprotected header, and critical extensions are not ignored", async () => {
    const { key, card } = vector("no-typ");
    const [signature] = card.signatures as Json[];
    const moved = [{ ...signature, protected: base64url({}), header: { alg: "ES256", kid: "es256" } }];
    expect((await failure(discover({ ...card, signatures: moved }, { keys: [key] }))).code).toBe(
      "CARD_SIGNATURE_INVALID",
    );
    const one = await signer();
    const critical = await signCard(cardOf("https://a.example"), one, { b64: true, crit: ["b64"] });
    expect((await failure(discover(critical, { keys: [one.jwk] }))).code).toBe("CARD_SIGNATURE_INVALID");
  });

  it("of another kind than the key are refused", async () => {
    const es = python[0] ?? vector("");
    const rsa = python[2] ?? vector("");
    const trust = { keys: [{ ...rsa.key, kid: "es256" }] };
    expect((await failure(discover(es.card, trust))).code).toBe("CARD_SIGNATURE_INVALID");
  });
});

describe("what is no signature", () => {
  it("is refused, not overlooked", async () => {
    const { key, card } = vector("no-typ");
    const [signature] = card.signatures as Json[];
    const broken: unknown[] = [
      {},
      "none",
      [null],
      [{}],
      [{ protected: "e30" }],
      [{ ...signature, signature: 5 }],
      [{ ...signature, signature: "" }],
      [{ ...signature, protected: "!!!" }],
      [{ ...signature, protected: "A".repeat(10_000) }],
      [{ ...signature, protected: Buffer.from("[".repeat(5000)).toString("base64url") }],
    ];
    for (const signatures of broken) {
      for (const verify of ["require", "if-present"] as const) {
        const error = await failure(discover({ ...card, signatures }, { keys: [key] }, { verify }));
        expect(error.code, JSON.stringify(signatures)?.slice(0, 80)).toBe("CARD_SIGNATURE_INVALID");
      }
    }
    for (const signatures of [undefined, null, []]) {
      expect((await failure(discover({ ...card, signatures }, { keys: [key] }))).code).toBe("CARD_UNSIGNED");
      const passed = await discover({ ...cardOf("http://127.0.0.1:1"), signatures }, undefined, {
        verify: "if-present",
        trust: { origins: ["http://127.0.0.1:1"] },
      });
      expect(passed.verified).toBeUndefined();
    }
  });

  it("may stand beside a good one, and of more than four none is looked at", bestOfThree, async () => {
    const one = await signer();
    const other = await signer("other");
    const card = cardOf("https://agent.example");
    const both = await signCard(await signCard(card, other), one);
    expect((await discover(both, { keys: [one.jwk] })).verified?.kid).toBe("key-1");
    const [signature] = (await signCard(card, one)).signatures as Json[];
    const many = (length: number) => ({ ...card, signatures: Array.from({ length }, () => signature) });
    const started = performance.now();
    const jku = await serve((_, response) => response.end());
    const limits = { cardBytes: 4_000_000 };
    for (const [length, code] of [
      [5, "CARD_SIGNATURE_INVALID"],
      [500, "CARD_SIGNATURE_INVALID"],
      [5_000, "JSON_REFUSED"],
    ] as const) {
      const error = await failure(discover(many(length), { jku: [jku.origin] }, { limits }));
      expect([error.code, jku.requests.length]).toEqual([code, 0]);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe("the profile metadata.ruvector.signature", () => {
  const { agentId, card } = ruvector;

  it("holds for the AgentID that was pinned, and covers its fields only", async () => {
    const found = await discover(card, { agentId: agentId.toUpperCase() });
    expect(found.agentId).toBe(agentId);
    expect(found.verified).toMatchObject({ kid: agentId, form: "ruvector", trust: "agent-id" });
    expect(found.json).not.toHaveProperty("extra");
    expect(found.json.capabilities).toEqual({ streaming: true, pushNotifications: false });
    expect(found.card.skills.map(({ id }) => id)).toEqual(["check"]);
  });

  it("proves nothing for another AgentID, and does not survive a change", async () => {
    const other = createHash("shake256", { outputLength: 32 }).update("other").digest("hex");
    expect((await failure(discover(card, { agentId: other }))).code).toBe("CARD_SIGNATURE_UNTRUSTED");
    const changes: Json[] = [
      { name: "Other" },
      { url: "https://evil.example/" },
      { skills: [] },
      { metadata: { ...(card.metadata as Json), other: [] } },
    ];
    for (const change of changes) {
      const error = await failure(discover({ ...card, ...change }, { agentId }));
      expect(error.code, JSON.stringify(change)).toBe("CARD_SIGNATURE_INVALID");
    }
    const stripped = { ...card, metadata: { ruvector: {} } };
    for (const verify of ["require", "if-present"] as const) {
      expect((await failure(discover(stripped, { agentId }, { verify }))).code).toBe("CARD_UNSIGNED");
    }
    const { metadata, ...rest } = card;
    const signature = { ...((metadata as Json).ruvector as { signature: Json }).signature, alg: "none" };
    const forged = { ...rest, metadata: { ruvector: { signature } } };
    expect((await failure(discover(forged, { agentId }))).code).toBe("CARD_SIGNATURE_INVALID");
  });
});
