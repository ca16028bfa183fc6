import { createServer } from "node:http";
import { A2AWebhook, type ConnectOptions, currentTaskContext } from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { bestOfThree } from "../timing.js";
import { serve, until } from "./hostile-server.js";
import { collect, scriptedPeer, task } from "./scripted-peer.js";
import { connect, painter, served, signingKey } from "./served-agent.js";

const ways: [string, ConnectOptions][] = [
  ["JSON-RPC 1.0", { bindings: ["JSONRPC"] }],
  ["REST 1.0", { bindings: ["HTTP+JSON"] }],
  ["JSON-RPC 0.3", { protocol: "0.3" }],
];

describe.each(ways)("a peer over %s", (name, options) => {
  it("streams, and gives files and data back as they were", async () => {
    const { url } = await served(async function* ({ text, files, data, skill }) {
      yield { status: "thinking" };
      yield* text.split(/(?<= )/);
      yield {
        artifactId: "back",
        name: "echo",
        parts: [{ data: { data, skill } }, ...files.map((file) => ({ file }))],
      };
    });
    const peer = await connect(url, options);
    const bytes = new Uint8Array([0, 255, 10, 13]);
    const file = { name: "a.bin", mediaType: "application/x-test", bytes };
    const input = { text: "good morning world", files: [file], data: { a: [1, "ü"] }, skill: "answer" };
    const events = await collect(peer.stream(input));
    expect(events.map(({ type, state }) => state ?? type)).toEqual([
      ...["submitted", "working", "working", "artifact", "artifact", "artifact", "artifact", "completed"],
    ]);
    const result = await peer.send(input);
    expect(result.state).toBe("completed");
    expect(result.artifacts[0]?.text).toBe("good morning world");
    expect(result.artifacts[1]).toMatchObject({
      name: "echo",
      parts: [{ data: { data: [{ a: [1, "ü"] }], skill: "answer" } }, { file }],
    });
    expect(await peer.get(result.taskId)).toMatchObject({ state: "completed", text: result.text });
  });

  it("asks back, and goes on with the answers", async () => {
    const { url, server } = await served(painter);
    const peer = await connect(url, options);
    const first = await peer.send("a house");
    expect(first).toMatchObject({ state: "input-required", text: "which colour?" });
    const { taskId, contextId } = first;
    const second = await peer.send("blue", { taskId, contextId });
    expect(second).toMatchObject({ state: "input-required", taskId, contextId });
    const last = await peer.send("huge", { taskId, contextId });
    expect(last).toMatchObject({ state: "completed", text: "painted a house blue and huge" });
    expect(server.taskCount).toBe(1);
  });

  it("hears that the agent failed, and nothing of its secrets", async () => {
    const errors: unknown[] = [];
    const { url } = await served({
      handler: () => {
        throw new Error("password is 1234");
      },
      onError: (error) => void errors.push(error),
    });
    const result = await (await connect(url, options)).send("go");
    expect(result).toMatchObject({ state: "failed", text: "The agent failed." });
    expect(errors).toHaveLength(1);
  });

  it("cancels by signal within 100 ms", bestOfThree, async () => {
    let abortedAt = 0;
    let reachedAt = 0;
    const { url } = await served(async function* ({ signal }) {
      yield "started";
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      reachedAt = performance.now();
    });
    const peer = await connect(url, options);
    const controller = new AbortController();
    let taskId = "";
    await expect(async () => {
      for await (const event of peer.stream("go", { signal: controller.signal })) {
        taskId = event.taskId;
        if (event.type !== "artifact") continue;
        abortedAt = performance.now();
        controller.abort();
      }
    }).rejects.toMatchObject({ name: "AbortError" });
    await until(() => reachedAt > 0);
    expect(reachedAt - abortedAt).toBeLessThan(100);
    expect((await peer.get(taskId)).state).toBe("canceled");
    await expect(peer.cancel(taskId)).resolves.toMatchObject({ state: "canceled" });
  });

  it("names errors of the protocol", async () => {
    const { url } = await served(() => "done");
    const peer = await connect(url, options);
    await expect(peer.get("nope")).rejects.toMatchObject({ code: "TASK_NOT_FOUND", category: "permanent" });
    const { taskId } = await peer.send("go");
    await expect(peer.cancel(taskId)).rejects.toMatchObject({ code: "TASK_NOT_CANCELABLE" });
    await expect(peer.createPushConfig(taskId, { url: "https://x.example" })).rejects.toMatchObject({
      code: "PUSH_NOT_SUPPORTED",
    });
    if (name.endsWith("1.0")) {
      const page = await peer.list({ pageSize: 1 });
      expect(page.tasks).toMatchObject([{ taskId, state: "completed", text: "done" }]);
    } else await expect(peer.list()).rejects.toMatchObject({ code: "UNSUPPORTED_OPERATION" });
  });

  it("follows a task again from another connection", async () => {
    let goOn: (() => void) | undefined;
    const { url } = await served(async function* () {
      yield "one ";
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      yield "two";
    });
    const first = await connect(url, options);
    let taskId = "";
    for await (const event of first.stream("go")) {
      taskId = event.taskId;
      if (event.type === "artifact") break;
    }
    await first.close();
    const second = await connect(url, options);
    const events = await collect(
      (async function* () {
        for await (const event of second.resume(taskId)) {
          yield event;
          goOn?.();
        }
      })(),
    );
    expect(events.filter(({ type }) => type === "artifact").map(({ text }) => text)).toEqual(["one ", "two"]);
    expect(events.at(-1)?.state).toBe("completed");
    expect((await collect(second.resume(taskId))).at(-1)).toMatchObject({ type: "task", state: "completed" });
  });
});

describe("webhooks", () => {
  it.each(["1.0", "0.3"] as const)(
    "receive what a served agent reports, signed, in protocol %s",
    async (protocol) => {
      const webhook = new A2AWebhook({ token: "secret token", secret: "shared" });
      const reports: unknown[] = [];
      const raw: { headers: Record<string, string>; body: string }[] = [];
      const receiver = await serve(async (request, response) => {
        try {
          const event = await webhook.receive(request);
          reports.push(event.state ?? event.type);
          raw.push({ headers: request.headers as Record<string, string>, body: "" });
          response.writeHead(204).end();
        } catch (error) {
          response.writeHead(401).end(String(error));
        }
      });
      let release: (() => void) | undefined;
      const { url } = await served({
        push: { network: { allowLoopback: true }, secret: "shared" },
        handler: async function* () {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          yield "done";
        },
      });
      const peer = await connect(url, { protocol });
      const states: unknown[] = [];
      for await (const event of peer.stream("go")) {
        states.push(event.state ?? event.type);
        if (states.length !== 2) continue;
        await peer.createPushConfig(event.taskId, {
          id: "hook",
          url: receiver.origin,
          token: "secret token",
        });
        expect(await peer.listPushConfigs(event.taskId)).toMatchObject([
          { id: "hook", url: `${receiver.origin}` },
        ]);
        release?.();
      }
      await until(() => reports.includes("completed"));
      // Webhooks of 0.3 get the whole task every time.
      expect(reports).toEqual([protocol === "1.0" ? "artifact" : "working", "completed"]);
    },
  );

  it("refuse wrong tokens and signatures, old reports and the same one twice", async () => {
    const { signReport } = await import("../../src/agents/serve/push-sender.js");
    const body = JSON.stringify({ task: task("COMPLETED") });
    const seconds = (offset = 0) => String(Math.floor(Date.now() / 1000) + offset);
    const post = (headers: Record<string, string>) =>
      new Request("https://me.example/", { method: "POST", body, headers });
    const signed = (at: string, secret = "s") =>
      post({ "x-a2a-timestamp": at, "x-a2a-signature": signReport(secret, at, body) });
    const webhook = new A2AWebhook({ secret: "s", replayWindowMs: 60_000 });
    const now = seconds();
    expect(await webhook.receive(signed(now))).toMatchObject({ type: "task", state: "completed" });
    for (const [request, why] of [
      [signed(now), "received before"],
      [signed(seconds(-120)), "too old"],
      [signed(seconds(120)), "too old"],
      [signed(seconds(1), "other"), "signature is wrong"],
      [post({}), "not signed"],
    ] as const) {
      await expect(webhook.receive(request)).rejects.toMatchObject({
        code: "WEBHOOK_REFUSED",
        context: { why: expect.stringContaining(why) },
      });
    }
    const byToken = new A2AWebhook({ token: ["old", "new"] });
    await expect(byToken.receive(post({ "x-a2a-notification-token": "wrong" }))).rejects.toMatchObject({
      code: "WEBHOOK_REFUSED",
    });
    await expect(byToken.receive(post({ "x-a2a-notification-token": "new" }))).resolves.toMatchObject({
      state: "completed",
    });
    await expect(byToken.receive(post({ authorization: "Bearer old" }))).resolves.toMatchObject({
      state: "completed",
    });
    expect(() => new A2AWebhook({})).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });

  it("of strangers are not called at private addresses", async () => {
    let called = 0;
    const target = createServer((_, response) => {
      called++;
      response.end();
    });
    await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void target.close());
    const { port } = target.address() as { port: number };
    const { url } = await served({ push: true, handler: painter });
    const peer = await connect(url);
    const { taskId, contextId } = await peer.send("a house");
    await peer.createPushConfig(taskId, { url: `http://127.0.0.1:${port}/` });
    await peer.send("blue", { taskId, contextId });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(called).toBe(0);
  });
});

describe("requests that the peer turns away", () => {
  const busy = (times: number, retryAfter = "0") => {
    let left = times;
    return scriptedPeer((call, events) => {
      if (left-- > 0) return void events.response.writeHead(503, { "retry-after": retryAfter }).end();
      return call.method === "GetTask" ? task("COMPLETED") : void events.task("COMPLETED");
    });
  };

  it("are sent again, with the same id of the message", async () => {
    const { peer, calls } = await busy(2);
    expect((await peer.send("go")).state).toBe("completed");
    const ids = calls.map(({ params }) => (params.message as { messageId: string }).messageId);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
  });

  it("are sent no earlier than the peer wants, and not for ever", async () => {
    const { peer, calls } = await busy(9, "1");
    const started = performance.now();
    await expect(peer.get("task-1")).rejects.toMatchObject({
      code: "PEER_BUSY",
      context: { retryAfterMs: 1_000 },
    });
    expect(calls).toHaveLength(3);
    expect(performance.now() - started).toBeGreaterThan(1_950);
  });

  it("are not sent again when they may have arrived and are not safe to repeat", async () => {
    const cut = await scriptedPeer((_, events) => events.cut());
    await expect(cut.peer.send("go")).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    expect(cut.calls).toHaveLength(1);
    await expect(cut.peer.send({ text: "go", messageId: "mine" })).rejects.toMatchObject({
      code: "CONNECTION_LOST",
    });
    expect(cut.calls).toHaveLength(4);
  });
});

describe("connecting", () => {
  it("knows who signed the card", async () => {
    const key = signingKey();
    const { url, server } = await served({ signingKey: key, handler: () => "hello" });
    const peer = await connect(url, { verify: "require" });
    expect(peer.verified).toMatchObject({ thumbprint: server.thumbprint });
    expect(peer.agentId).toBe(server.thumbprint);
    const pinned = await connect(url, {
      verify: "require",
      trust: { thumbprints: [server.thumbprint ?? ""] },
    });
    expect(pinned.agentId).toBe(server.thumbprint);
    const other = await served({ signingKey: signingKey(), handler: () => "hello" });
    await expect(
      connect(other.url, { verify: "require", trust: { thumbprints: [server.thumbprint ?? ""] } }),
    ).rejects.toMatchObject({ name: "A2AError" });
  });

  it("refuses agents that speak nothing known", async () => {
    const interfaces = [{ url: "http://127.0.0.1:1/", protocolBinding: "SMOKE", protocolVersion: "9.9" }];
    await expect(
      scriptedPeer(() => undefined, {}, { supportedInterfaces: interfaces }),
    ).rejects.toMatchObject({
      name: "A2AError",
    });
    const { url } = await served(() => "x");
    await expect(connect(url, { protocol: "2.0" as never })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
    await expect(connect(url, { verfy: "off" } as never)).rejects.toMatchObject({ code: "UNKNOWN_OPTION" });
  });

  it("ends: what is used after closing says so", async () => {
    const { url } = await served(() => "x");
    const peer = await connect(url);
    await peer.close();
    await peer.close();
    await expect(peer.send("go")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(peer.get("x")).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("the chain of agents", () => {
  it("reaches handlers, and goes on with what they send themselves", async () => {
    const seen: unknown[] = [];
    const inner = await served(() => {
      seen.push(currentTaskContext());
      return "inner";
    });
    const innerPeer = await connect(inner.url);
    const outer = await served(async ({ context }) => {
      seen.push(context);
      return (await innerPeer.send("go")).text;
    });
    expect((await (await connect(outer.url)).send("go")).text).toBe("inner");
    const [first, second] = seen as { traceId: string; depth: number; visitedAgents: string[] }[];
    expect(second?.traceId).toBe(first?.traceId);
    expect(second).toMatchObject({
      depth: 2,
      visitedAgents: [...(first?.visitedAgents ?? []), innerPeer.agentId],
    });
  });
});
