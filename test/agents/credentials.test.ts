import type { TLSSocket } from "node:tls";
import { type AuthOptions, createGuardedFetch, type GuardedFetchOptions } from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { createAuthority } from "./certificates.js";
import { bodyOf, everythingIn, failure, serve, serveTls } from "./hostile-server.js";

const SECRET = "s3cret-and-never-shown";

function guarded(options: GuardedFetchOptions) {
  const http = createGuardedFetch({ network: { allowLoopback: true }, ...options });
  onTestFinished(() => http.close());
  return http;
}

describe("credentials", () => {
  const kinds: [string, AuthOptions, string, string][] = [
    ["bearer", { bearer: SECRET }, "authorization", `Bearer ${SECRET}`],
    ["bearer function", { bearer: async () => SECRET }, "authorization", `Bearer ${SECRET}`],
    ["apiKey", { apiKey: { header: "X-Api-Key", value: SECRET } }, "x-api-key", SECRET],
  ];

  it.each(kinds)("%s goes to its origin and to no other", async (_, auth, header, value) => {
    const seen: unknown[] = [];
    const home = await serve((request, response) => {
      seen.push(request.headers[header]);
      if (request.url !== "/moved") return response.end();
      response.writeHead(307, { location: "/here" });
      return response.end();
    });
    const other = await serve((_request, response) => response.end());
    const { fetch } = guarded({ auth, origin: `${home.origin}/whatever` });
    await fetch(home.origin, { method: "POST", body: "{}" });
    await fetch(`${home.origin}/moved`);
    expect(seen).toEqual([value, value, value]);
    await fetch(other.origin);
    // The same host by another name, and the same name at another port, are other origins.
    await fetch(home.origin.replace("127.0.0.1", "localhost"));
    expect([other.requests[0]?.headers[header], seen[3]]).toEqual([undefined, undefined]);
  });

  it("stay when a redirect or a rebound name leads elsewhere", async () => {
    const thief = await serve((_, response) => response.end());
    const home = await serve((_, response) => {
      response.writeHead(307, { location: thief.origin });
      response.end();
    });
    const { fetch } = guarded({
      auth: { apiKey: { header: "x-api-key", value: SECRET } },
      origin: home.origin,
    });
    for (const method of ["GET", "POST"]) {
      const error = await failure(fetch(home.origin, { method }));
      expect(error.code).toBe("REDIRECT_REFUSED");
      expect(everythingIn(error)).not.toContain(SECRET);
    }
    expect(thief.connections).toBe(0);
  });

  it("from a function are asked for again after a 401, once", async () => {
    const tokens = ["old", "new", "newer"];
    const server = await serve((request, response) => {
      response.statusCode = request.headers.authorization === "Bearer new" ? 200 : 401;
      response.end(request.headers.authorization);
    });
    let at = 0;
    const { fetch } = guarded({ auth: { bearer: () => tokens[at++] ?? "newer" }, origin: server.origin });
    expect((await fetch(server.origin, { method: "POST", body: "{}" })).status).toBe(200);
    expect(server.requests).toHaveLength(2);
    expect((await fetch(server.origin)).status).toBe(401);
    expect(server.requests).toHaveLength(3);
  });

  it("that cannot be had are an error without secrets", async () => {
    const server = await serve((_, response) => response.end());
    for (const bearer of [() => "", () => 5 as never, () => `${SECRET}\r\nx: y`]) {
      const error = await failure(guarded({ auth: { bearer }, origin: server.origin }).fetch(server.origin));
      expect(error.code).toBe("AUTH_FAILED");
      expect(everythingIn(error)).not.toContain(SECRET);
    }
    expect(server.connections).toBe(0);
  });

  it("never show in errors, wherever those come from", async () => {
    const server = await serve((request, response) => {
      if (request.url?.startsWith("/cut")) response.destroy();
      else if (request.url?.startsWith("/big")) response.setHeader("content-length", 1e9).write("x");
      else if (request.url?.startsWith("/json")) response.end(`{"${SECRET}":[[[[[[`);
    });
    const { fetch } = guarded({
      auth: { bearer: SECRET, apiKey: { header: "x-api-key", value: SECRET } },
      origin: server.origin,
      limits: { headersMs: 100, connectMs: 100 },
    });
    for (const path of ["cut", "big", "hang"]) {
      const error = await failure(
        fetch(`${server.origin}/${path}?key=${SECRET}`, { method: "POST", body: SECRET }),
      );
      expect(everythingIn(error)).not.toContain(SECRET);
    }
    const inUrl = await failure(fetch(`http://user:${SECRET}@127.0.0.1:${server.port}/`));
    expect([inUrl.code, everythingIn(inUrl).includes(SECRET)]).toEqual(["URL_REFUSED", false]);
    for (const auth of [{ bearer: `${SECRET}\n` }, { apiKey: { header: "x", value: `${SECRET}\n` } }]) {
      try {
        createGuardedFetch({ auth, origin: server.origin });
        expect.unreachable();
      } catch (error) {
        expect(everythingIn(error)).not.toContain(SECRET);
      }
    }
  });
});

describe("OAuth2 client credentials", () => {
  const issuer = async (answer: (count: number) => [number, object]) => {
    const forms: Record<string, string>[] = [];
    const server = await serve(async (request, response) => {
      const form = Object.fromEntries(new URLSearchParams(await bodyOf(request)));
      forms.push({ ...form, authorization: request.headers.authorization ?? "" });
      const [status, body] = answer(forms.length);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    return { tokenUrl: `${server.origin}/token`, forms, server };
  };
  const echo = () =>
    serve((request, response) => {
      response.statusCode = request.headers.authorization?.includes("bad") ? 401 : 200;
      response.end(request.headers.authorization);
    });

  it("fetches one token for many requests", async () => {
    const { tokenUrl, forms } = await issuer((n) => [
      200,
      { access_token: `t${n}`, token_type: "Bearer", expires_in: 600 },
    ]);
    const server = await echo();
    const oauth2 = { tokenUrl, clientId: "me:1", clientSecret: "ü %", scope: "a b" };
    const { fetch } = guarded({ auth: { oauth2 }, origin: server.origin });
    const texts = await Promise.all([1, 2, 3].map(async () => (await fetch(server.origin)).text()));
    expect(texts).toEqual(["Bearer t1", "Bearer t1", "Bearer t1"]);
    const authorization = `Basic ${Buffer.from("me%3A1:%C3%BC+%25").toString("base64")}`;
    expect(forms).toEqual([{ grant_type: "client_credentials", scope: "a b", authorization }]);
  });

  it("renews a token that expires, and one that is refused", async () => {
    const { tokenUrl, forms } = await issuer((n) => [
      200,
      { access_token: n === 3 ? "bad3" : `t${n}`, token_type: "bearer", expires_in: n === 1 ? 0.2 : 600 },
    ]);
    const server = await echo();
    const oauth2 = { tokenUrl, clientId: "me", clientSecret: SECRET, clientAuthentication: "form" as const };
    const { fetch } = guarded({ auth: { oauth2 }, origin: server.origin });
    const get = async () => (await fetch(server.origin)).text();
    expect(await get()).toBe("Bearer t1");
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await get()).toBe("Bearer t2");
    expect(forms[1]).toEqual({
      grant_type: "client_credentials",
      client_id: "me",
      client_secret: SECRET,
      authorization: "",
    });
    expect(await get()).toBe("Bearer t2");
    const bad = await issuer((n) => [
      200,
      { access_token: n < 3 ? `bad${n}` : "good", token_type: "Bearer" },
    ]);
    const refused = guarded({
      auth: { oauth2: { ...oauth2, tokenUrl: bad.tokenUrl } },
      origin: server.origin,
    });
    expect((await refused.fetch(server.origin)).status).toBe(401);
    expect(bad.forms).toHaveLength(2);
    const response = await refused.fetch(server.origin, { method: "POST", body: "x" });
    expect([response.status, await response.text(), bad.forms.length]).toEqual([200, "Bearer good", 3]);
  });

  it("says why there is no token, without the secret", async () => {
    const server = await echo();
    const cases: [[number, object], string, string][] = [
      [[400, { error: "invalid_client", error_description: SECRET }], "AUTH_FAILED", "permanent"],
      [
        [401, { error: `${SECRET} and a very long reason that is surely no code of the specification` }],
        "AUTH_FAILED",
        "permanent",
      ],
      [[503, {}], "AUTH_FAILED", "transient"],
      [[200, { access_token: "a b", token_type: "Bearer" }], "AUTH_FAILED", "permanent"],
      [[200, { access_token: "a", token_type: "mac" }], "AUTH_FAILED", "permanent"],
    ];
    for (const [answer, code, category] of cases) {
      const { tokenUrl } = await issuer(() => answer);
      const oauth2 = { tokenUrl, clientId: "me", clientSecret: SECRET };
      const error = await failure(guarded({ auth: { oauth2 }, origin: server.origin }).fetch(server.origin));
      expect([error.code, error.category]).toEqual([code, category]);
      expect(everythingIn(error)).not.toContain(SECRET);
    }
    expect(server.connections).toBe(0);
  });

  it("does not follow the token endpoint anywhere", async () => {
    const thief = await serve((_, response) => response.end());
    const server = await echo();
    const moved = await serve((_, response) => response.writeHead(307, { location: thief.origin }).end());
    const oauth2 = { tokenUrl: moved.origin, clientId: "me", clientSecret: SECRET };
    const error = await failure(guarded({ auth: { oauth2 }, origin: server.origin }).fetch(server.origin));
    expect([error.code, thief.connections]).toEqual(["REDIRECT_REFUSED", 0]);
  });
});

describe("TLS", () => {
  const ours = createAuthority("rulake tests");
  const theirs = createAuthority("somebody else");

  it("is trusted by its authority and name only", async () => {
    const fetchFrom = async (options: GuardedFetchOptions, identity: { cert: string; key: string }) => {
      const server = await serveTls(identity, (_, response) => response.end("hello"));
      return (await guarded(options).fetch(server.origin)).text();
    };
    const tls = { ca: ours.cert };
    expect(await fetchFrom({ tls }, ours.issue("localhost"))).toBe("hello");
    expect((await failure(fetchFrom({}, ours.issue("localhost")))).code).toBe("TLS_FAILED");
    expect((await failure(fetchFrom({ tls }, theirs.issue("localhost")))).code).toBe("TLS_FAILED");
    expect((await failure(fetchFrom({ tls }, ours.issue("peer.example")))).code).toBe("TLS_FAILED");
    expect((await failure(fetchFrom({ tls }, ours.issue("localhost", { expired: true })))).code).toBe(
      "TLS_FAILED",
    );
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      expect((await failure(fetchFrom({}, ours.issue("localhost")))).code).toBe("TLS_FAILED");
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  it("shows the client's certificate to its origin and to no other", async () => {
    const named: string[] = [];
    const start = (requestCert: boolean) =>
      serveTls(
        { ...ours.issue("localhost"), ca: ours.cert, requestCert: true, rejectUnauthorized: requestCert },
        (request, response) => {
          const { subject } = (request.socket as TLSSocket).getPeerCertificate();
          named.push(String(subject?.CN ?? "nobody"));
          response.end();
        },
      );
    const home = await start(true);
    const other = await start(false);
    const mtls = { ...ours.issue("client-1"), ca: ours.cert };
    const { fetch } = guarded({ auth: { mtls }, origin: home.origin, tls: { ca: ours.cert } });
    await (await fetch(home.origin)).text();
    await (await fetch(other.origin)).text();
    expect(named).toEqual(["client-1", "nobody"]);
    const stranger = guarded({ tls: { ca: ours.cert } });
    const error = await failure(stranger.fetch(home.origin, { method: "POST" }));
    expect(["TLS_FAILED", "CONNECTION_LOST"]).toContain(error.code);
    const forged = { ...theirs.issue("client-1"), ca: ours.cert };
    const impostor = guarded({ auth: { mtls: forged }, origin: home.origin });
    expect(["TLS_FAILED", "CONNECTION_LOST"]).toContain((await failure(impostor.fetch(home.origin))).code);
    expect(named).toHaveLength(2);
  });
});
