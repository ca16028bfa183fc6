import { request as httpRequest } from "node:http";
import type { AgentCard } from "@a2a-js/sdk";
import { verifyAgentCardSignature } from "@a2a-js/sdk";
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory } from "@a2a-js/sdk/client";
import { Document } from "@langchain/core/documents";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { createLocalJWKSet, type JSONWebKeySet } from "jose";
import { serveAsA2A } from "rulake/agents";
import { describe, expect, it } from "vitest";
import { until } from "./hostile-server.js";
import { collect } from "./scripted-peer.js";
import { connect, painter, served, signingKey } from "./served-agent.js";

const rpc = (url: string, method: string, params: object, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "a2a-version": "1.0", ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
const message = (text: string, more: object = {}) => ({
  message: { messageId: crypto.randomUUID(), role: "ROLE_USER", parts: [{ text }], ...more },
});

describe("the card", () => {
  it("is signed so that the SDK verifies it, whatever version is asked for", async () => {
    const { url, server } = await served({ signingKey: signingKey(), handler: () => "x" });
    const jwks = (await (await fetch(new URL(".well-known/jwks.json", url))).json()) as JSONWebKeySet;
    expect(jwks.keys).toMatchObject([{ kid: server.thumbprint, alg: "ES256" }]);
    expect(jwks.keys[0]).not.toHaveProperty("d");
    const verify = verifyAgentCardSignature(
      async (kid) => createLocalJWKSet(jwks)({ alg: "ES256", kid }) as never,
    );
    for (const headers of [{}, { "a2a-version": "1.0" }, { "a2a-version": "0.3" }] as Record<
      string,
      string
    >[]) {
      const card = (await (
        await fetch(new URL(".well-known/agent-card.json", url), { headers })
      ).json()) as AgentCard;
      await verify(card);
      await expect(verify({ ...card, description: "something else" })).rejects.toThrow();
    }
    const resolved = await new DefaultAgentCardResolver().resolve(url);
    await verify(resolved);
  });

  it("is signed with everything in it, security schemes and links included", async () => {
    const card = {
      name: "A",
      description: "B",
      version: "2",
      provider: { organization: "C", url: "https://c.example" },
    };
    const skills = [
      { id: "a", description: "a", tags: ["x"], examples: ["y"] },
      { id: "b", description: "b" },
    ];
    const more = {
      documentationUrl: "https://c.example/docs",
      iconUrl: "https://c.example/icon.png",
      skills,
    };
    const { url, server } = await served({
      card: { ...card, ...more },
      signingKey: signingKey(),
      auth: { bearer: "token" },
      push: true,
      handler: () => "x",
    });
    const trust = { thumbprints: [server.thumbprint ?? ""] };
    const peer = await connect(url, { verify: "require", trust, auth: { bearer: "token" } });
    expect(peer.card.securitySchemes).toMatchObject({
      bearer: { httpAuthSecurityScheme: { scheme: "Bearer" } },
    });
    expect((await peer.send("go")).text).toBe("x");
    const jwks = (await (await fetch(new URL(".well-known/jwks.json", url))).json()) as JSONWebKeySet;
    const verify = verifyAgentCardSignature(
      async (kid) => createLocalJWKSet(jwks)({ alg: "ES256", kid }) as never,
    );
    await verify((await (await fetch(new URL(".well-known/agent-card.json", url))).json()) as AgentCard);
  });

  it("is not sent again when it is known", async () => {
    const { url } = await served(() => "x");
    const first = await fetch(new URL(".well-known/agent-card.json", url));
    const etag = first.headers.get("etag") ?? "";
    const again = await fetch(new URL(".well-known/agent-card.json", url), {
      headers: { "if-none-match": etag },
    });
    expect(again.status).toBe(304);
    expect(first.headers.get("cache-control")).toContain("max-age");
  });

  it("refuses options that cannot be right", async () => {
    const card = { name: "A", description: "B" };
    const wrong = async (options: object, code = "INVALID_OPTION") =>
      expect(serveAsA2A({ card, handler: () => "x", ...options } as never)).rejects.toMatchObject({ code });
    await wrong({ retriever: { invoke: async () => [] } });
    await wrong({ handler: undefined });
    await wrong({ card: { name: "", description: "B" } });
    await wrong({ cards: {} }, "UNKNOWN_OPTION");
    await wrong({ signingKey: { kty: "oct", k: "AAAA" } });
    await wrong({ limits: { bodyBytes: 0 } });
    await wrong({ limits: { bodyByte: 1 } }, "UNKNOWN_OPTION");
  });
});

describe("the SDK's client", () => {
  it("streams from a served agent", async () => {
    const { url } = await served(async function* () {
      yield* ["a", "b"];
    });
    const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory()] });
    const client = await factory.createFromUrl(url);
    const params = { tenant: "", configuration: undefined, metadata: undefined };
    const sent = { ...message("go").message, role: 1, contextId: "", taskId: "", metadata: undefined };
    const parts = [
      { content: { $case: "text" as const, value: "go" }, metadata: undefined, filename: "", mediaType: "" },
    ];
    const events = await collect(
      client.sendMessageStream({
        ...params,
        message: { ...sent, parts, extensions: [], referenceTaskIds: [] },
      } as never),
    );
    expect(events.map(({ payload }) => payload?.$case)).toEqual([
      ...["task", "statusUpdate", "artifactUpdate", "artifactUpdate", "statusUpdate"],
    ]);
  });
});

describe("what is served", () => {
  it("can be a retriever of LangChain", async () => {
    const documents = [
      new Document({ id: "1", pageContent: "Keys are rotated every ninety days.", metadata: { line: 1 } }),
      new Document({ pageContent: "By the night shift." }),
    ];
    const { url } = await served({
      retriever: { invoke: async (query: string) => (query === "keys" ? documents : []) },
    });
    const result = await (await connect(url)).send("keys");
    expect(result.text).toBe("Keys are rotated every ninety days.\n\nBy the night shift.");
    expect(result.artifacts[0]?.parts[1]).toMatchObject({
      data: {
        documents: [
          { id: "1", text: "Keys are rotated every ninety days.", metadata: { line: 1 } },
          { metadata: {} },
        ],
      },
    });
  });

  it("can be a model that streams", async () => {
    const model = new FakeListChatModel({ responses: ["good morning"] });
    const { url } = await served({ runnable: model });
    const events = await collect((await connect(url)).stream("hi"));
    const pieces = events.filter(({ type }) => type === "artifact").map(({ text }) => text);
    expect(pieces.join("")).toBe("good morning");
    expect(pieces.length).toBeGreaterThan(3);
  });

  it("can be a runnable with input and output of its own", async () => {
    const runnable = {
      invoke: async ({ question }: { question: string }) => ({ answer: question.toUpperCase() }),
    };
    const { url } = await served({
      runnable,
      input: ({ text }) => ({ question: text }),
      output: (found) => (found as { answer: string }).answer,
    });
    expect((await (await connect(url)).send("loud")).text).toBe("LOUD");
  });
});

describe("guards", () => {
  it("turn away who has no token, and keep callers apart", async () => {
    const { url } = await served({ handler: painter, auth: { bearer: ["alice's", "bob's"] } });
    expect((await rpc(url, "SendMessage", message("x"))).status).toBe(401);
    expect((await rpc(url, "SendMessage", message("x"), { authorization: "Bearer no" })).status).toBe(401);
    await expect((await connect(url)).send("x")).rejects.toMatchObject({ code: "AUTH_REFUSED" });
    const alice = await connect(url, { auth: { bearer: "alice's" } });
    const bob = await connect(url, { auth: { bearer: "bob's" } });
    const { taskId, contextId } = await alice.send("a house");
    await expect(bob.get(taskId)).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    await expect(bob.cancel(taskId)).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    await expect(bob.send("blue", { taskId, contextId })).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    expect((await bob.list()).tasks).toEqual([]);
    expect((await alice.list()).tasks).toHaveLength(1);
  });

  it("ask a function who the caller is", async () => {
    const users: (string | undefined)[] = [];
    const { url } = await served({
      handler: ({ user }) => void users.push(user),
      auth: ({ headers }) => (headers["x-user"] ? { name: String(headers["x-user"]) } : undefined),
    });
    expect((await rpc(url, "SendMessage", message("x"), { "x-user": "carol" })).status).toBe(200);
    expect((await rpc(url, "SendMessage", message("x"))).status).toBe(401);
    expect(users).toEqual(["carol"]);
  });

  it("refuse bodies that are too large, too deep, or could come from a web page", async () => {
    const { url } = await served({ handler: () => "x", limits: { bodyBytes: 10_000 } });
    expect((await rpc(url, "SendMessage", message("x".repeat(20_000)))).status).toBe(413);
    const deep = `{"a":${"[".repeat(100)}${"]".repeat(100)}}`;
    const post = (body: string, type: string) =>
      fetch(url, { method: "POST", body, headers: { "content-type": type, "a2a-version": "1.0" } });
    expect((await post(deep, "application/json")).status).toBe(400);
    expect((await post("{}", "text/plain")).status).toBe(415);
    expect((await post("{", "application/json")).status).toBe(400);
    const options = await fetch(url, { method: "OPTIONS", headers: { origin: "https://evil.example" } });
    expect(options.headers.get("access-control-allow-origin")).toBeNull();
    expect((await fetch(new URL("admin", url))).status).toBe(404);
    expect((await rpc(url, "SendMessage", message("x"), { "a2a-version": "7.0" })).status).toBe(400);
  });

  it("turn away tasks beyond those that may run", async () => {
    let running = 0;
    const { url } = await served({
      limits: { maxConcurrency: 1 },
      handler: ({ signal }) => {
        running++;
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
      },
    });
    const peer = await connect(url);
    const controller = new AbortController();
    const first = peer.send("a", { signal: controller.signal }).catch(() => {});
    await until(() => running === 1);
    const response = await rpc(url, "SendMessage", message("b"));
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    controller.abort();
    await first;
  });

  it("end tasks that take too long", async () => {
    const { url } = await served({ limits: { taskMs: 50 }, handler: () => new Promise(() => {}) });
    expect(await (await connect(url)).send("go")).toMatchObject({
      state: "failed",
      text: "The agent took too long.",
    });
  });

  it("hold a handler back whose caller does not read", async () => {
    let given = 0;
    const { url } = await served(async function* ({ signal }) {
      while (!signal.aborted && given < 20_000) {
        given++;
        yield "x".repeat(10_000);
      }
    });
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "SendStreamingMessage",
      params: message("go"),
    });
    const headers = { "content-type": "application/json", "a2a-version": "1.0" };
    const request = httpRequest(url, { method: "POST", headers }, (response) => response.pause());
    request.end(body);
    await until(() => given > 10);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = given;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(given).toBe(before);
    expect(given).toBeLessThan(5_000);
    request.destroy();
  });

  it("keep a task going whose caller has gone away, for when it comes back", async () => {
    const { url } = await served(async function* () {
      for (let at = 0; at < 5; at++) {
        yield `${at} `;
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    });
    const peer = await connect(url);
    let taskId = "";
    for await (const event of peer.stream("go")) {
      taskId = event.taskId;
      if (event.type === "artifact") break;
    }
    const later = expect.poll(() => peer.get(taskId), { timeout: 10_000 });
    await later.toMatchObject({ state: "completed", text: "0 1 2 3 4 " });
  });

  it("forget old tasks", async () => {
    const { url, server } = await served({ handler: () => "x", limits: { keptTasks: 3 } });
    const peer = await connect(url);
    for (let at = 0; at < 10; at++) await peer.send("go");
    expect(server.taskCount).toBe(3);
  });
});

describe("listening", () => {
  it("says what is wrong with a port", async () => {
    const { url } = await served(() => "x");
    const other = await serveAsA2A({ card: { name: "B", description: "B" }, handler: () => "x" });
    await expect(other.listen(Number(new URL(url).port))).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    await other.close();
  });

  it("ends with the tasks under way canceled", async () => {
    let running = 0;
    const { url, server } = await served(({ signal }) => {
      running++;
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    const peer = await connect(url);
    const sent = expect(peer.send("go")).resolves.toMatchObject({ state: "canceled" });
    await until(() => running === 1);
    await server.close();
    await sent;
  });
});
