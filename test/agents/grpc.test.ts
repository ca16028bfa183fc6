import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { StreamResponse } from "@a2a-js/sdk";
import { TaskState } from "@a2a-js/sdk";
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import { compressionAlgorithms, status } from "@grpc/grpc-js";
import type { ConnectOptions } from "rulake/agents";
import { describe, expect, it } from "vitest";
import { bestOfThree } from "../timing.js";
import { createAuthority } from "./certificates.js";
import { type GrpcAgent, grpcAgent } from "./grpc-agent.js";
import { everythingIn, failure, serveTcp, until } from "./hostile-server.js";
import { sdkAgent } from "./sdk-agent.js";
import { connect } from "./served-agent.js";

type Updates = ServerWritableStream<unknown, StreamResponse>;

const TASK = { taskId: "task-1", contextId: "context-1" };

const statusUpdate = (state: TaskState): StreamResponse => ({
  payload: {
    $case: "statusUpdate",
    value: { ...TASK, status: { state, message: undefined, timestamp: undefined }, metadata: undefined },
  },
});

const chunk = (text: string, data?: unknown): StreamResponse => ({
  payload: {
    $case: "artifactUpdate",
    value: {
      ...TASK,
      artifact: {
        artifactId: "answer",
        name: "",
        description: "",
        parts: [
          {
            content: data === undefined ? { $case: "text", value: text } : { $case: "data", value: data },
            metadata: undefined,
            filename: "",
            mediaType: "",
          },
        ],
        metadata: undefined,
        extensions: [],
      },
      append: true,
      lastChunk: false,
      metadata: undefined,
    },
  },
});

/** An agent that answers every message by these updates. */
const answering = (...updates: StreamResponse[]) => ({
  sendStreamingMessage(call: Updates) {
    call.write(statusUpdate(TaskState.TASK_STATE_WORKING));
    for (const update of updates) call.write(update);
    call.write(statusUpdate(TaskState.TASK_STATE_COMPLETED));
    call.end();
  },
});

const talkTo = ({ origin }: GrpcAgent, options: ConnectOptions = {}) =>
  connect(origin, { verify: "off", ...options });

describe("a peer over gRPC", () => {
  it("is chosen where an agent offers nothing else, and needs no option", async () => {
    const agent = await grpcAgent(answering(chunk("hello "), chunk("you")));
    const peer = await talkTo(agent);
    expect(peer.interface.binding).toBe("GRPC");
    expect(await peer.send("hi")).toMatchObject({ state: "completed", text: "hello you" });
    await peer.send("hi");
    expect(agent.connections).toBe(1);
    expect(agent.calls[0]?.get("a2a-version")).toEqual(["1.0"]);
  });

  it("is not chosen where there is another way", async () => {
    const { origin, by } = await sdkAgent(false);
    const peer = await connect(origin, { trust: { keys: [by.jwk] } });
    expect(peer.interface.binding).toBe("JSONRPC");
  });

  it("names errors of the protocol, and lists tasks", async () => {
    const { origin, by } = await sdkAgent(false);
    const peer = await connect(origin, { bindings: ["GRPC"], trust: { keys: [by.jwk] } });
    const { taskId } = await peer.send("blue");
    expect((await failure(peer.get("nothing"))).code).toBe("TASK_NOT_FOUND");
    expect((await failure(peer.cancel(taskId))).code).toBe("TASK_NOT_CANCELABLE");
    expect((await failure(peer.send("on", { taskId }))).code).toBe("UNSUPPORTED_OPERATION");
    expect((await peer.list({ state: "completed" })).tasks.map((task) => task.taskId)).toEqual([taskId]);
  });

  it("sets webhooks", async () => {
    const kept: unknown[] = [];
    const agent = await grpcAgent({
      createTaskPushNotificationConfig(call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) {
        kept.push(call.request);
        done(null, call.request);
      },
      listTaskPushNotificationConfigs: (_: unknown, done: sendUnaryData<object>) =>
        done(null, { configs: kept, nextPageToken: "" }),
      deleteTaskPushNotificationConfig(_: unknown, done: sendUnaryData<object>) {
        kept.pop();
        done(null, {});
      },
    });
    const peer = await talkTo(agent);
    const config = { id: "hook", url: "https://caller.example/hook", token: "secret-token-of-the-hook" };
    expect(await peer.createPushConfig("task-1", config)).toMatchObject({ id: "hook", url: config.url });
    expect(await peer.listPushConfigs("task-1")).toHaveLength(1);
    await peer.deletePushConfig("task-1", "hook");
    expect(await peer.listPushConfigs("task-1")).toEqual([]);
  });

  it("tells apart what fails", async () => {
    const answers: Record<string, number> = {
      PEER_BUSY: status.RESOURCE_EXHAUSTED,
      AUTH_REFUSED: status.PERMISSION_DENIED,
      DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
      AGENT_FAILED: status.INTERNAL,
    };
    for (const [code, given] of Object.entries(answers)) {
      const agent = await grpcAgent({
        getTask: (_: unknown, done: sendUnaryData<object>) => done({ code: given, details: "so it is" }),
      });
      expect((await failure((await talkTo(agent)).get("task-1"))).code).toBe(code);
    }
    const agent = await grpcAgent({});
    expect((await failure((await talkTo(agent)).get("task-1"))).code).toBe("UNSUPPORTED_OPERATION");
  });

  it("cancels by signal, and lets the loop go at once", bestOfThree, async () => {
    const canceled: unknown[] = [];
    let reachedAt = 0;
    const agent = await grpcAgent({
      sendStreamingMessage: (call: Updates) => void call.write(statusUpdate(TaskState.TASK_STATE_WORKING)),
      cancelTask(call: ServerUnaryCall<{ id: string }, object>, done: sendUnaryData<object>) {
        canceled.push(call.request.id);
        reachedAt = performance.now();
        done({ code: status.INTERNAL });
      },
    });
    const peer = await talkTo(agent);
    const controller = new AbortController();
    let abortedAt = 0;
    const loop = async () => {
      for await (const _ of peer.stream("go", { signal: controller.signal })) {
        setTimeout(() => {
          abortedAt = performance.now();
          controller.abort();
        }, 20);
      }
    };
    await expect(loop()).rejects.toHaveProperty("name", "AbortError");
    await until(() => canceled.length > 0);
    expect(reachedAt - abortedAt).toBeLessThan(100);
    expect(canceled).toEqual(["task-1"]);
  });

  it("ends calls with CLOSED when it is closed", async () => {
    const agent = await grpcAgent({ sendStreamingMessage: () => {}, getTask: () => {} });
    const peer = await talkTo(agent);
    const under = [failure(peer.get("task-1")), failure(peer.send("go"))];
    await until(() => agent.calls.length === 2);
    await peer.close();
    expect((await Promise.all(under)).map(({ code }) => code)).toEqual(["CLOSED", "CLOSED"]);
    expect((await failure(peer.get("task-1"))).code).toBe("CLOSED");
  });
});

describe("deadlines of gRPC", bestOfThree, () => {
  const limits = { connectMs: 1_000, headersMs: 1_000, idleMs: 1_000, totalMs: 3_000 };

  it("end a server that accepts and says nothing", async () => {
    const silent = await serveTcp(() => {});
    const agent = await grpcAgent({}, { interfaceUrl: silent.origin });
    const peer = await talkTo(agent, { limits, trust: { origins: [silent.origin] } });
    const start = performance.now();
    const first = failure(peer.send({ text: "go" }));
    await sleep(300);
    const late = failure(peer.send({ text: "go too" }));
    for (const error of await Promise.all([first, late])) {
      expect([error.code, error.context.phase]).toEqual(["DEADLINE_EXCEEDED", "connect"]);
    }
    expect(performance.now() - start).toBeLessThan(3_000);
  });

  it("end a call that is not answered, and a stream that falls silent", async () => {
    const agent = await grpcAgent({
      getTask: () => {},
      sendStreamingMessage: (call: Updates) => void call.write(statusUpdate(TaskState.TASK_STATE_WORKING)),
    });
    const peer = await talkTo(agent, { limits });
    expect((await failure(peer.get("task-1"))).context.phase).toBe("headers");
    const error = await failure(peer.send("go"));
    expect(["DEADLINE_EXCEEDED", "TASK_TIMEOUT"]).toContain(error.code);
  });

  it("name a server that is not there", async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => gone.close(resolve));
    const place = `http://127.0.0.1:${port}`;
    const agent = await grpcAgent({}, { interfaceUrl: place });
    const peer = await talkTo(agent, { trust: { origins: [place] } });
    expect((await failure(peer.send("go"))).code).toBe("PEER_UNREACHABLE");
  });
});

describe("sizes of gRPC", () => {
  it("bound a message, a stream and the number of updates", async () => {
    const big = await grpcAgent(answering(chunk("x".repeat(300_000))));
    const error = await failure((await talkTo(big, { limits: { eventBytes: 100_000 } })).send("go"));
    expect([error.code, error.context.limit]).toEqual(["RESPONSE_TOO_LARGE", "eventBytes"]);

    const endless = await grpcAgent({
      sendStreamingMessage(call: Updates) {
        const more = () => {
          while (!call.destroyed && call.write(chunk("x".repeat(10_000))));
        };
        call.on("drain", more);
        more();
      },
    });
    const byBytes = await talkTo(endless, { limits: { streamBytes: 1_000_000 } });
    expect((await failure(byBytes.send("go"))).context.limit).toBe("streamBytes");
    const byNumber = await talkTo(endless, { limits: { maxEvents: 50 } });
    expect((await failure(byNumber.send("go"))).context.limit).toBe("maxEvents");

    const answer = { id: "task-1", contextId: "", status: undefined, history: [], metadata: undefined };
    const artifact = {
      artifactId: "x".repeat(200_000),
      name: "",
      description: "",
      parts: [],
      extensions: [],
    };
    const large = await grpcAgent({
      getTask: (_: unknown, done: sendUnaryData<object>) => done(null, { ...answer, artifacts: [artifact] }),
    });
    const limited = await talkTo(large, { limits: { bodyBytes: 100_000 } });
    expect((await failure(limited.get("task-1"))).context.limit).toBe("bodyBytes");
  });

  it("are counted after decompression", async () => {
    const bomb = await grpcAgent(answering(chunk("\0".repeat(200_000_000))), {
      server: {
        "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
        "grpc.max_send_message_length": -1,
      },
    });
    const peer = await talkTo(bomb);
    const error = await failure(peer.send("go"));
    expect(error.code).toBe("RESPONSE_TOO_LARGE");
  });
});

describe("values over gRPC", () => {
  it("are refused when they are nested too deep, and cannot set prototypes", async () => {
    const nested = (depth: number) => {
      let value: unknown = "deep";
      for (let at = 0; at < depth; at++) value = [value];
      return value;
    };
    const deep = await grpcAgent(answering(chunk("", nested(100))));
    expect((await failure((await talkTo(deep)).send("go"))).code).toBe("JSON_REFUSED");
    const fine = await grpcAgent(answering(chunk("", nested(20))));
    expect((await (await talkTo(fine)).send("go")).artifacts[0]?.parts).toEqual([{ data: nested(20) }]);

    const poison = JSON.parse('{"__proto__":{"polluted":true},"own":1}');
    const poisoned = await grpcAgent(answering(chunk("", poison)));
    const [part] = (await (await talkTo(poisoned)).send("go")).artifacts[0]?.parts ?? [];
    const data = part !== undefined && "data" in part ? (part.data as Record<string, unknown>) : {};
    expect([data.own, data.polluted, Object.getPrototypeOf(data)]).toEqual([1, undefined, Object.prototype]);
  });

  it("of another task end the stream", async () => {
    const foreign = chunk("not yours");
    if (foreign.payload?.$case === "artifactUpdate") foreign.payload.value.taskId = "task-2";
    const agent = await grpcAgent(answering(foreign));
    expect((await failure((await talkTo(agent)).send("go"))).code).toBe("FOREIGN_EVENT");
  });
});

describe("places of gRPC", () => {
  it("are judged by where the name leads, and nothing is sent to a refused address", async () => {
    for (const [address, code] of [
      ["169.254.169.254", "ADDRESS_REFUSED"],
      ["10.0.0.1", "ADDRESS_REFUSED"],
      ["127.0.0.1", "ADDRESS_REFUSED"],
    ] as const) {
      const agent = await grpcAgent(answering(chunk("no")));
      const place = `https://agent.test:${agent.port}`;
      const named = await grpcAgent({}, { interfaceUrl: place });
      const network = { allowHosts: ["127.0.0.1"], resolve: async () => [{ address, family: 4 as const }] };
      const peer = await connect(named.origin, { verify: "off", network, trust: { origins: [place] } });
      const error = await failure(peer.send("go"));
      expect([error.code, agent.connections]).toEqual([code, 0]);
    }
  });

  it("are looked up again for every connection, and a rebound name is noticed", async () => {
    const agent = await grpcAgent(answering(chunk("yes")));
    const place = `http://agent.test:${agent.port}`;
    const named = await grpcAgent({}, { interfaceUrl: place });
    let address = "127.0.0.1";
    const network = { allowLoopback: true, resolve: async () => [{ address, family: 4 as const }] };
    const peer = await connect(named.origin, { verify: "off", network, trust: { origins: [place] } });
    expect((await peer.send("go")).text).toBe("yes");
    expect(agent.calls[0]?.getMap()).not.toHaveProperty("authorization");
    address = "10.0.0.1";
    expect((await peer.send("go")).text).toBe("yes");
    const fresh = await connect(named.origin, { verify: "off", network, trust: { origins: [place] } });
    expect((await failure(fresh.send("go"))).code).toBe("ADDRESS_REFUSED");
    expect(agent.connections).toBe(1);
  });

  it("must not be plain on the network, nor something else than a place", async () => {
    for (const place of ["http://agent.test:50051", "unix:///run/agent.sock", "dns:///agent.test:1"]) {
      const named = await grpcAgent({}, { interfaceUrl: place });
      const origins = place.startsWith("http") ? [place] : [];
      const network = { allowHosts: ["127.0.0.1"] };
      const talk = async () => {
        const peer = await connect(named.origin, { verify: "off", network, trust: { origins } });
        return peer.send("go");
      };
      expect(["URL_REFUSED", "INTERFACE_REFUSED"]).toContain((await failure(talk())).code);
    }
  });
});

describe("credentials over gRPC", () => {
  const auth = { apiKey: { header: "x-api-key", value: "key-7f3a" }, bearer: "token-91c2" };

  it("go to their origin and to no other", async () => {
    const home = await grpcAgent(answering(chunk("home")));
    await (await talkTo(home, { auth })).send("go");
    expect(home.calls[0]?.get("authorization")).toEqual(["Bearer token-91c2"]);
    expect(home.calls[0]?.get("x-api-key")).toEqual(["key-7f3a"]);

    const other = await grpcAgent(answering(chunk("other")));
    const lured = await grpcAgent({}, { interfaceUrl: other.origin });
    await (await talkTo(lured, { auth, trust: { origins: [other.origin] } })).send("go");
    expect(other.calls[0]?.get("authorization")).toEqual([]);
    expect(other.calls[0]?.get("x-api-key")).toEqual([]);
  });

  it("are asked for once more when they are refused, and do not show", async () => {
    let given = 0;
    const bearer = async () => `token-${++given}`;
    const agent = await grpcAgent({
      sendStreamingMessage(call: Updates) {
        if (call.metadata.get("authorization")[0] !== "Bearer token-3") {
          call.emit("error", { code: status.UNAUTHENTICATED, details: "no" });
        } else answering(chunk("in")).sendStreamingMessage(call);
      },
      getTask: (_: unknown, done: sendUnaryData<object>) => done({ code: status.UNAUTHENTICATED }),
    });
    const peer = await talkTo(agent, { auth: { bearer } });
    given = 1;
    expect((await peer.send("go")).text).toBe("in");
    const calls = agent.calls.length;
    const error = await failure(peer.get("task-1"));
    expect([error.code, agent.calls.length - calls]).toEqual(["AUTH_REFUSED", 2]);
    expect(everythingIn(error)).not.toContain("token-4");
  });
});

describe("TLS of gRPC", () => {
  const ours = createAuthority("rulake tests");
  const theirs = createAuthority("somebody else");
  const tls = { ca: ours.cert };

  it("is trusted by its authority and name only", async () => {
    const agent = await grpcAgent(answering(chunk("hello")), { tls: ours.issue("localhost") });
    const peer = await talkTo(agent, { tls });
    expect(peer.interface.url).toMatch(/^https:/);
    expect((await peer.send("go")).text).toBe("hello");

    for (const identity of [
      theirs.issue("localhost"),
      ours.issue("peer.example"),
      ours.issue("localhost", { expired: true }),
    ]) {
      const impostor = await grpcAgent(answering(chunk("no")), { tls: identity });
      const card = await grpcAgent({}, { interfaceUrl: impostor.origin });
      const lured = await talkTo(card, { tls, trust: { origins: [impostor.origin] } });
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
      try {
        expect((await failure(lured.send("go"))).code).toBe("TLS_FAILED");
      } finally {
        delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      }
      expect(impostor.calls).toHaveLength(0);
    }
  });

  it("shows the client's certificate to its origin and to no other", async () => {
    const identity = { ...ours.issue("localhost"), ca: ours.cert };
    const mtls = { ...ours.issue("client-1"), ca: ours.cert };
    const home = await grpcAgent(answering(chunk("known")), { tls: identity });
    expect((await (await talkTo(home, { tls, auth: { mtls } })).send("go")).text).toBe("known");
    const card = await grpcAgent({}, { interfaceUrl: home.origin });
    const stranger = await talkTo(card, { tls, auth: { mtls }, trust: { origins: [home.origin] } });
    const error = await failure(stranger.send("go"));
    expect(["TLS_FAILED", "CONNECTION_LOST", "PEER_UNREACHABLE", "STREAM_INTERRUPTED"]).toContain(error.code);
    expect(home.calls).toHaveLength(1);
  });
});
