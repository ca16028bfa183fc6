import { calculateJwkThumbprint } from "jose";
import {
  createGuardedFetch,
  type DiscoverOptions,
  discoverAgent,
  type GuardedFetchOptions,
} from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { bestOfThree } from "../timing.js";
import { createAuthority } from "./certificates.js";
import { everythingIn, failure, serve, serveTcp, serveTls, type TestServer } from "./hostile-server.js";
import { cardOf, serveCard, signCard, signer } from "./signed-cards.js";

const network = { allowLoopback: true };

function guarded(options: GuardedFetchOptions = {}) {
  const http = createGuardedFetch({ network, ...options });
  onTestFinished(() => http.close());
  return http;
}

const find = (url: string, options: DiscoverOptions = {}) => discoverAgent(url, { network, ...options });

describe("finding a card", () => {
  it("asks below the URL of the agent, at the places of 0.3 and before, or where it is told", async () => {
    const server = await serve((request, response, { origin }) => {
      const found = ["/a/.well-known/agent-card.json", "/b/c/.well-known/agent.json", "/card.json?x=1"];
      if (!found.includes(request.url ?? "")) return response.writeHead(404).end();
      return response.end(JSON.stringify(cardOf(origin, { name: request.url })));
    });
    const names = ["/a", "/a/", "/b/c", "/card.json?x=1"].map(
      async (path) => (await find(server.origin + path)).card.name,
    );
    expect(await Promise.all(names)).toEqual([
      "/a/.well-known/agent-card.json",
      "/a/.well-known/agent-card.json",
      "/b/c/.well-known/agent.json",
      "/card.json?x=1",
    ]);
    // Another agent may live at the root: it is not the one that was asked for.
    const missing = await failure(find(`${server.origin}/d`));
    expect([missing.code, missing.context.urls]).toEqual([
      "CARD_NOT_FOUND",
      [`${server.origin}/d/.well-known/agent-card.json`, `${server.origin}/d/.well-known/agent.json`],
    ]);
  });

  it("gives cards of 1.0 and 0.3 the same shape", async () => {
    const server = await serveCard(({ origin }) =>
      cardOf(origin, {
        provider: { organization: "Example", url: "https://example.org" },
        documentationUrl: "https://example.org/docs",
        iconUrl: "javascript:alert(1)",
        capabilities: { streaming: true, extendedAgentCard: true },
      }),
    );
    const { card, verified, agentId, url, raw } = await find(server.origin);
    expect(card).toEqual({
      name: "Echo",
      description: "Says it again",
      version: "1.0.0",
      provider: { organization: "Example", url: "https://example.org/" },
      documentationUrl: "https://example.org/docs",
      capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: true },
      interfaces: [{ url: `${server.origin}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      skills: [
        {
          id: "echo",
          name: "Echo",
          description: "Repeats",
          tags: ["text"],
          examples: [],
          inputModes: [],
          outputModes: [],
        },
      ],
      inputModes: ["text/plain"],
      outputModes: ["text/plain"],
      securitySchemes: {},
    });
    expect([verified, agentId]).toEqual([undefined, url]);
    expect(JSON.parse(raw)).toHaveProperty("iconUrl");
    const old = await serveCard(({ origin }) => {
      const { supportedInterfaces: _, ...rest } = cardOf(origin);
      return {
        ...rest,
        url: `${origin}/rpc`,
        protocolVersion: "0.3.0",
        supportsAuthenticatedExtendedCard: true,
        additionalInterfaces: [
          { url: `${origin}/rest`, transport: "HTTP+JSON" },
          { url: `${origin}/rpc`, transport: "JSONRPC" },
        ],
      };
    });
    const found = await find(old.origin);
    expect(found.card.interfaces).toEqual([
      { url: `${old.origin}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "0.3.0" },
      { url: `${old.origin}/rest`, protocolBinding: "HTTP+JSON", protocolVersion: "0.3.0" },
    ]);
    expect(found.card.capabilities.extendedAgentCard).toBe(true);
  });

  it("says what a server answers instead", async () => {
    const codes: unknown[] = [];
    for (const [status, headers] of [
      [500, {}],
      [429, { "retry-after": "7" }],
      [401, {}],
      [418, {}],
    ] as const) {
      const server = await serve((_, response) => response.writeHead(status, headers).end("secret"));
      const error = await failure(find(server.origin));
      codes.push([error.code, error.category, error.context.retryAfterMs]);
    }
    expect(codes).toEqual([
      ["CARD_UNAVAILABLE", "transient", undefined],
      ["CARD_UNAVAILABLE", "transient", 7000],
      ["CARD_UNAVAILABLE", "permanent", undefined],
      ["CARD_UNAVAILABLE", "permanent", undefined],
    ]);
  });

  it("refuses options that cannot be", async () => {
    const code = (options: unknown, url = "http://127.0.0.1:1") =>
      discoverAgent(url, options as DiscoverOptions).then(
        () => undefined,
        (error) => `${error.code} ${error.context.option ?? ""}`,
      );
    expect(await code({ verfy: "off" })).toBe("UNKNOWN_OPTION verfy");
    expect(await code({ verify: "always" })).toBe("INVALID_OPTION verify");
    expect(await code({ maxAgeMs: -1 })).toBe("INVALID_OPTION maxAgeMs");
    expect(await code({ trust: { key: [] } })).toBe("UNKNOWN_OPTION key");
    expect(await code({ trust: { keys: ["x"] } })).toBe("INVALID_OPTION trust.keys");
    const { jwk } = await signer();
    expect(await code({ trust: { keys: [{ ...jwk, d: "private" }] } })).toBe("INVALID_OPTION trust.keys");
    expect(await code({ trust: { keys: [{ kty: "oct", k: "x" }] } })).toBe("INVALID_OPTION trust.keys");
    expect(await code({ trust: { thumbprints: ["x"] } })).toBe("INVALID_OPTION trust.thumbprints");
    expect(await code({ trust: { jku: ["x"] } })).toBe("INVALID_OPTION trust.jku");
    expect(await code({ trust: { origins: "https://x" } })).toBe("INVALID_OPTION trust.origins");
    expect(await code({ trust: { tofu: {} } })).toBe("INVALID_OPTION trust.tofu");
    expect(await code({ trust: { agentId: "x" } })).toBe("INVALID_OPTION trust.agentId");
    expect(await code({}, "nowhere")).toBe("URL_REFUSED ");
  });
});

describe("hostile cards", () => {
  const limits = { cardMs: 400, headersMs: 300, idleMs: 300, connectMs: 300 };

  async function ends(work: Promise<unknown>, ms = 1_500) {
    const started = performance.now();
    const { code } = await failure(work);
    expect(performance.now() - started).toBeLessThan(ms);
    return code;
  }

  it("that never come, drip, or are cut off end in time", bestOfThree, async () => {
    const silent = await serveTcp((socket) => socket.resume());
    expect(await ends(find(silent.origin, { limits }))).toBe("DEADLINE_EXCEEDED");
    const dripping = await serve((_, response) => {
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    expect(await ends(find(dripping.origin, { limits }))).toBe("DEADLINE_EXCEEDED");
    const cut = await serve((_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("{", () => response.destroy());
    });
    expect(await ends(find(cut.origin, { limits }))).toBe("CONNECTION_LOST");
  });

  it("that are too large, too deep or poisoned are not read", async () => {
    const bodies: [string, string][] = [
      [`{"name":"${"x".repeat(300_000)}"}`, "RESPONSE_TOO_LARGE"],
      [`{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, "JSON_REFUSED"],
      ['{"__proto__":{"isAdmin":true},"name":"x"}', "JSON_REFUSED"],
      ['{"name":"x","\\u005f\\u005fproto__":{}}', "JSON_REFUSED"],
      [`{"a":[${"[],".repeat(20_000)}1]}`, "JSON_REFUSED"],
      ["<html>not found</html>", "JSON_REFUSED"],
      ["", "JSON_REFUSED"],
      ["[]", "CARD_INVALID"],
      ["null", "CARD_INVALID"],
      ['"card"', "CARD_INVALID"],
    ];
    for (const [body, code] of bodies) {
      for (const type of ["application/json", "text/plain"]) {
        const server = await serve((_, response) =>
          response.writeHead(200, { "content-type": type }).end(body),
        );
        expect(await ends(find(server.origin)), body.slice(0, 60)).toBe(code);
      }
    }
    expect({}).not.toHaveProperty("isAdmin");
  });

  it("with fields of other types are refused by the place", async () => {
    const wrong: [Record<string, unknown>, string][] = [
      [{ name: 5 }, "/name"],
      [{ name: "" }, "/name"],
      [{ name: "\u200b\u202e" }, "/name"],
      [{ description: {} }, "/description"],
      [{ capabilities: [] }, "/capabilities"],
      [{ capabilities: { streaming: "yes" } }, "/capabilities/streaming"],
      [{ supportedInterfaces: [] }, "/supportedInterfaces"],
      [{ supportedInterfaces: [{}] }, "/supportedInterfaces/0/url"],
      [
        { supportedInterfaces: [{ url: "http://x", protocolBinding: 1 }] },
        "/supportedInterfaces/0/protocolBinding",
      ],
      [{ supportedInterfaces: Array(33).fill({ url: "x" }) }, "/supportedInterfaces"],
      [{ skills: {} }, "/skills"],
      [{ skills: [null] }, "/skills/0"],
      [{ skills: [{ id: "a" }, { name: "b" }] }, "/skills/1/id"],
      [{ skills: [{ id: "a", tags: [1] }] }, "/skills/0/tags/0"],
      [{ defaultInputModes: "text" }, "/defaultInputModes"],
    ];
    for (const [change, place] of wrong) {
      const server = await serveCard(({ origin }) => cardOf(origin, change));
      const error = await failure(find(server.origin));
      expect([error.code, error.context.path]).toEqual(["CARD_INVALID", place]);
    }
  });

  it("speak in single lines without anything hidden", async () => {
    const hidden =
      "\u0000\u001b[2J\u202eevil\u2066\u200b\u200d\ufeff\u00ad\u{e0041}\u{e0100}\u3164\ue000\u2028";
    const server = await serveCard(({ origin }) =>
      cardOf(origin, {
        name: `Na${hidden}me`,
        description: `first\n\n\tsecond${hidden} ${"long ".repeat(2000)}`,
        skills: [
          {
            id: "a",
            name: "𝒜 e\u0301 日本",
            description: "```\n# system\n```",
            tags: [hidden],
            examples: ["x\r\ny"],
          },
        ],
      }),
    );
    const { card } = await find(server.origin);
    expect(card.name).toBe("Na[2Jevilme".replace("evilme", "evil me"));
    expect(card.description).toMatch(/^first second\[2Jevil long long /);
    expect(card.description).toHaveLength(2000);
    expect(card.description.endsWith("…")).toBe(true);
    expect(card.skills[0]).toMatchObject({
      name: "𝒜 e\u0301 日本",
      description: "``` # system ```",
      examples: ["x y"],
    });
    expect(JSON.stringify(card)).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\u2028\u3164]/u);
  });

  it("that redirect elsewhere are not fetched from there", async () => {
    const internal = await serveCard(({ origin }) => cardOf(origin, { name: "internal" }));
    for (const location of [
      `${internal.origin}/.well-known/agent-card.json`,
      "http://169.254.169.254/latest/",
    ]) {
      const server = await serve((_, response) => response.writeHead(302, { location }).end());
      expect(await ends(find(server.origin))).toBe("REDIRECT_REFUSED");
    }
    expect(internal.requests).toHaveLength(0);
    const moved = await serve((request, response, { origin }) => {
      if (request.url === "/moved") return response.end(JSON.stringify(cardOf(origin)));
      return response.writeHead(308, { location: "/moved" }).end();
    });
    expect((await find(moved.origin)).card.name).toBe("Echo");
  });
});

describe("interfaces elsewhere than the card", () => {
  const elsewhere = "https://evil.example";
  const both = (origin: string) => ({
    supportedInterfaces: [
      { url: `${elsewhere}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" },
      { url: `${origin}/rest`, protocolBinding: "HTTP+JSON", protocolVersion: "1.0" },
    ],
  });

  it("are left out of an unsigned card, and refused if there is no other", async () => {
    const server = await serveCard(({ origin }) => cardOf(origin, both(origin)));
    const { card, json } = await find(server.origin);
    expect(card.interfaces.map(({ url }) => url)).toEqual([`${server.origin}/rest`]);
    expect(JSON.stringify(json)).not.toContain("evil");
    const trusted = await find(server.origin, { trust: { origins: [elsewhere] } });
    expect(trusted.card.interfaces).toHaveLength(2);
    for (const url of [
      elsewhere,
      "file:///etc/passwd",
      "evil.example:50051",
      "http://127.0.0.1:1",
      "not a url",
    ]) {
      const only = await serveCard(({ origin }) =>
        cardOf(origin, {
          supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
        }),
      );
      expect((await failure(find(only.origin))).code, url).toBe("INTERFACE_REFUSED");
    }
  });

  it("are left out of an unsigned card of 0.3, whichever comes first", async () => {
    const server = await serveCard(({ origin }) => {
      const { supportedInterfaces: _, ...rest } = cardOf(origin);
      const additionalInterfaces = [{ url: `${origin}/rpc`, transport: "JSONRPC" }];
      return { ...rest, url: elsewhere, preferredTransport: "HTTP+JSON", additionalInterfaces };
    });
    const { json, card } = await find(server.origin);
    expect(card.interfaces.map(({ url }) => url)).toEqual([`${server.origin}/rpc`]);
    expect(json).toMatchObject({
      url: `${server.origin}/rpc`,
      preferredTransport: "JSONRPC",
      additionalInterfaces: [],
    });
  });

  it("count when they are signed", async () => {
    const one = await signer();
    const server = await serveCard(({ origin }) => signCard(cardOf(origin, both(origin)), one));
    const { card } = await find(server.origin, { trust: { keys: [one.jwk] } });
    expect(card.interfaces[0]?.url).toBe(`${elsewhere}/rpc`);
  });

  it("may call this machine by another name", async () => {
    for (const host of ["localhost", "127.0.0.1", "[::1]"]) {
      const server = await serveCard(({ origin }) => cardOf(origin.replace("127.0.0.1", host)));
      expect((await find(server.origin)).card.interfaces).toHaveLength(1);
    }
  });
});

describe("whether a card must be signed", () => {
  it("depends on where the agent is", async () => {
    const authority = createAuthority("rulake tests");
    const remote = await serveTls(authority.issue("agent.test"), (_, response) =>
      response.end(JSON.stringify(cardOf(`https://agent.test:${remote.port}`))),
    );
    const url = `https://agent.test:${remote.port}`;
    const resolve = async () => [{ address: "127.0.0.1", family: 4 as const }];
    const { fetch } = guarded({
      network: { resolve, allowHosts: ["agent.test"] },
      tls: { ca: authority.cert },
    });
    const error = await failure(discoverAgent(url, { fetch }));
    expect([error.code, error.hint?.includes("if-present")]).toEqual(["CARD_UNSIGNED", true]);
    expect((await discoverAgent(url, { fetch, verify: "if-present" })).card.name).toBe("Echo");
    const local = await serveCard(({ origin }) => cardOf(origin));
    expect((await find(local.origin)).verified).toBeUndefined();
    expect((await failure(find(local.origin, { verify: "require" }))).code).toBe("CARD_UNSIGNED");
  });

  it("says nothing about signatures that are there, unless they are not looked at", async () => {
    const one = await signer();
    const server = await serveCard(async ({ origin }) => ({
      ...(await signCard(cardOf(origin), one)),
      name: "changed",
    }));
    const trust = { keys: [one.jwk] };
    for (const verify of ["require", "if-present"] as const) {
      expect((await failure(find(server.origin, { verify, trust }))).code).toBe("CARD_SIGNATURE_INVALID");
      expect((await failure(find(server.origin, { verify }))).code).toBe("CARD_SIGNATURE_UNTRUSTED");
    }
    const { verified, card } = await find(server.origin, { verify: "off", trust });
    expect([verified, card.name]).toEqual([undefined, "changed"]);
  });

  it("is decided by keys, thumbprints, and those that were revoked", async () => {
    const [one, other] = [await signer(), await signer("other")];
    const server = await serveCard(({ origin }) => signCard(cardOf(origin), one, { jwk: one.jwk }));
    const thumbprint = await calculateJwkThumbprint(one.jwk);
    const ask = (trust: DiscoverOptions["trust"]) =>
      find(server.origin, { ...(trust && { trust }) }).then(
        ({ verified, agentId }) => [verified?.trust, agentId],
        ({ code }) => code,
      );
    expect(await ask({ keys: [one.jwk] })).toEqual(["key", thumbprint]);
    const { kid: _, ...unnamed } = one.jwk;
    expect(await ask({ keys: [other.jwk, unnamed] })).toEqual(["key", thumbprint]);
    // The key beside the signature is only as good as the thumbprint that vouches for it.
    expect(await ask({ thumbprints: [thumbprint] })).toEqual(["thumbprint", thumbprint]);
    expect(await ask({ thumbprints: [await calculateJwkThumbprint(other.jwk)] })).toBe(
      "CARD_SIGNATURE_UNTRUSTED",
    );
    expect(await ask(undefined)).toBe("CARD_SIGNATURE_UNTRUSTED");
    expect(await ask({ keys: [{ ...other.jwk, kid: "key-1" }] })).toBe("CARD_SIGNATURE_INVALID");
    expect(await ask({ keys: [one.jwk], revoked: [thumbprint] })).toBe("CARD_SIGNATURE_UNTRUSTED");
  });
});

describe("key sets", () => {
  /** An agent whose signature names a key set, and the server of that. */
  async function agent(options: {
    jku: (origin: string) => string;
    keys?: unknown;
    kids?: string[];
    status?: number;
  }) {
    const one = await signer();
    const keySets: string[] = [];
    const server = await serve(async (request, response, seen: TestServer) => {
      if (request.url === "/.well-known/agent-card.json") {
        let card = cardOf(seen.origin);
        for (const kid of options.kids ?? ["key-1"]) {
          card = await signCard(card, one, { jku: options.jku(seen.origin), kid });
        }
        response.end(JSON.stringify(card));
        return;
      }
      keySets.push(request.url ?? "");
      response.writeHead(options.status ?? 200, { "content-type": "application/json" });
      response.end(
        typeof options.keys === "string" ? options.keys : JSON.stringify(options.keys ?? { keys: [one.jwk] }),
      );
    });
    return { server, keySets, one };
  }
  const own = (origin: string) => `${origin}/keys`;

  it("are fetched from the origin of the card, or where the caller says", async () => {
    const { server, keySets } = await agent({ jku: own });
    expect((await find(server.origin)).verified?.trust).toBe("origin");
    expect((await find(server.origin, { trust: { jku: [own(server.origin)] } })).verified?.trust).toBe("jku");
    expect(keySets).toEqual(["/keys", "/keys"]);
    const listed = await failure(find(server.origin, { trust: { jku: [`${server.origin}/other`] } }));
    expect([listed.code, keySets.length]).toEqual(["KEY_SET_REFUSED", 2]);
    const pinned = { keys: [(await signer("other")).jwk] };
    expect((await failure(find(server.origin, { trust: pinned }))).code).toBe("CARD_SIGNATURE_UNTRUSTED");
  });

  it("elsewhere are not fetched, wherever that is", async () => {
    const internal = await serve((_, response) => response.end("{}"));
    const places = [
      internal.origin,
      "http://169.254.169.254/latest/meta-data/iam",
      "file:///etc/passwd",
      "https://10.0.0.1/jwks",
      "//x",
      "javascript:1",
      "not a url",
    ];
    for (const place of places) {
      const { server } = await agent({ jku: () => place });
      expect((await failure(find(server.origin))).code, place).toBe("KEY_SET_REFUSED");
    }
    expect(internal.connections).toBe(0);
    const { server } = await agent({ jku: () => "http://169.254.169.254/keys" });
    const error = await failure(find(server.origin, { trust: { jku: ["http://169.254.169.254/keys"] } }));
    expect([error.code, (error.cause as { code?: string }).code]).toEqual([
      "KEY_SET_FAILED",
      "ADDRESS_REFUSED",
    ]);
  });

  it("are fetched once, however many signatures and calls there are", async () => {
    const { fetch } = guarded();
    const many = await agent({ jku: own, kids: ["a", "b", "c", "key-1"] });
    for (let i = 0; i < 3; i++)
      expect((await discoverAgent(many.server.origin, { fetch })).verified?.kid).toBe("key-1");
    expect(many.keySets).toHaveLength(1);
    const unknown = await agent({ jku: own, kids: ["a", "b", "c", "d"] });
    for (let i = 0; i < 3; i++) {
      expect((await failure(discoverAgent(unknown.server.origin, { fetch }))).code).toBe(
        "CARD_SIGNATURE_UNTRUSTED",
      );
    }
    expect(unknown.keySets).toHaveLength(1);
    const broken = await agent({ jku: own, kids: ["a", "b", "c", "d"], status: 500 });
    expect((await failure(discoverAgent(broken.server.origin, { fetch }))).code).toBe("KEY_SET_FAILED");
    expect(broken.keySets).toHaveLength(1);
  });

  it("that are none, too large, or hold secrets do not help", async () => {
    const bad: [unknown, string][] = [
      ["no json", "KEY_SET_FAILED"],
      [{ keys: "x" }, "KEY_SET_FAILED"],
      [`{"keys":[${" ".repeat(300_000)}]}`, "KEY_SET_FAILED"],
      [`{"keys":${"[".repeat(100)}`, "KEY_SET_FAILED"],
      [{ keys: [] }, "CARD_SIGNATURE_UNTRUSTED"],
      [{ keys: [{ kty: "oct", kid: "key-1", k: "c2VjcmV0" }] }, "CARD_SIGNATURE_UNTRUSTED"],
    ];
    for (const [keys, code] of bad) {
      const { server } = await agent({ jku: own, keys });
      expect((await failure(find(server.origin))).code, JSON.stringify(keys).slice(0, 40)).toBe(code);
    }
  });

  it("may name several keys alike, of which a few are tried", async () => {
    const [first, second] = [await signer(), await signer()];
    const server = await serve(async (request, response, { origin }) => {
      const isCard = request.url === "/.well-known/agent-card.json";
      const card = isCard && (await signCard(cardOf(origin), second, { jku: `${origin}/keys` }));
      response.end(JSON.stringify(isCard ? card : { keys: [first.jwk, second.jwk] }));
    });
    const { verified } = await find(server.origin);
    expect(verified?.thumbprint).toBe(await calculateJwkThumbprint(second.jwk));
  });
});

describe("keeping a card", () => {
  async function counted(headers: Record<string, string>, etag = '"1"') {
    const server = await serve((request, response, { origin }) => {
      if (request.headers["if-none-match"] === etag) return response.writeHead(304, headers).end();
      return response.writeHead(200, { ...headers, etag }).end(JSON.stringify(cardOf(origin)));
    });
    const { fetch } = guarded();
    const ask = async (options: DiscoverOptions = {}) =>
      (await discoverAgent(server.origin, { fetch, ...options })).card.name;
    return { server, ask };
  }

  it("goes as its server says", async () => {
    const cases: [Record<string, string>, number, string | undefined][] = [
      [{}, 1, undefined],
      [{ "cache-control": "public, max-age=60" }, 1, undefined],
      [{ "cache-control": "max-age=60", age: "60" }, 2, '"1"'],
      [{ "cache-control": "max-age=0" }, 2, '"1"'],
      [{ "cache-control": "no-cache, max-age=60" }, 2, '"1"'],
      [{ "cache-control": "no-store" }, 2, undefined],
    ];
    for (const [headers, requests, condition] of cases) {
      const { server, ask } = await counted(headers);
      expect([await ask(), await ask()]).toEqual(["Echo", "Echo"]);
      expect(server.requests.length, JSON.stringify(headers)).toBe(requests);
      expect(server.requests.at(-1)?.headers["if-none-match"]).toBe(condition);
    }
  });

  it("goes no longer than the caller wants, and takes weak tags", async () => {
    const { server, ask } = await counted({ "cache-control": "max-age=99999999" }, 'W/"weak"');
    await ask();
    await ask({ maxAgeMs: 0 });
    expect(server.requests.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, 'W/"weak"']);
    const brief = await counted({ "cache-control": "max-age=60" });
    await brief.ask({ maxAgeMs: 50 });
    await new Promise((resolve) => setTimeout(resolve, 80));
    await brief.ask({ maxAgeMs: 50 });
    expect(brief.server.requests).toHaveLength(2);
  });

  it("does not keep who was trusted", async () => {
    const one = await signer();
    const server = await serveCard(({ origin }) => signCard(cardOf(origin), one));
    const { fetch } = guarded();
    await discoverAgent(server.origin, { fetch, trust: { keys: [one.jwk] } });
    const other = { keys: [(await signer()).jwk] };
    expect((await failure(discoverAgent(server.origin, { fetch, trust: other }))).code).toBe(
      "CARD_SIGNATURE_INVALID",
    );
    expect(server.requests).toHaveLength(1);
  });
});

describe("credentials", () => {
  it("are not sent to a key set elsewhere, and do not show", async () => {
    const one = await signer();
    const keys = await serve((_, response) => response.end(JSON.stringify({ keys: [one.jwk] })));
    const server = await serveCard(({ origin }) =>
      signCard(cardOf(origin), one, { jku: `${keys.origin}/k` }),
    );
    const auth = { bearer: "s3cret", apiKey: { header: "x-api-key", value: "s3cret" } };
    const { fetch } = guarded({ auth, origin: server.origin });
    const { verified } = await discoverAgent(server.origin, { fetch, trust: { jku: [`${keys.origin}/k`] } });
    expect(verified?.trust).toBe("jku");
    expect(server.requests[0]?.headers["x-api-key"]).toBe("s3cret");
    expect(JSON.stringify(keys.requests[0]?.headers)).not.toContain("s3cret");
    const error = await failure(discoverAgent(server.origin, { fetch, maxAgeMs: 0 }));
    expect(everythingIn(error)).not.toContain("s3cret");
  });
});
