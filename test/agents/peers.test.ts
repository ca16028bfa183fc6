import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type Sampler,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import {
  A2APeers,
  byCapability,
  byCost,
  byLatency,
  chained,
  type PeerStats,
  roundRobin,
} from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "./hostile-server.js";
import { type EventWriter, type PeerScript, scriptedPeer, task } from "./scripted-peer.js";
import { connect, painter, served } from "./served-agent.js";

const done: PeerScript = (_, events) => void events.task("COMPLETED");

describe("before anything is sent", () => {
  it.each([
    ["skill", { allowedSkills: ["other"] }, "allowedSkills"],
    ["cost", { maxCostUsd: 0.01 }, "maxCostUsd"],
    ["tokens", { maxTokens: 10 }, "maxTokens"],
  ])("a task against the policy is refused: %s", async (_, policy, rule) => {
    const { peer, calls } = await scriptedPeer(done);
    const entry = { peer, costUsd: 0.02, tokens: 100 };
    const message = { text: "go", skill: "work" };
    const refused = { code: "POLICY_VIOLATION", category: "permanent", context: { rule } };
    await expect(new A2APeers([entry], { policy }).send(message)).rejects.toMatchObject(refused);
    await expect(new A2APeers([entry]).send(message, { policy })).rejects.toMatchObject(refused);
    expect(calls).toHaveLength(0);
    const use = { budget: { maxTasks: 5 }, policy };
    const peers = new A2APeers([entry], use);
    await expect(peers.send(message)).rejects.toMatchObject(refused);
    expect(peers.budgetUse).toMatchObject({ tasks: 0, costUsd: 0 });
  });

  it("a single peer checks its policy, too", async () => {
    const { peer, calls } = await scriptedPeer(done);
    await expect(async () => peer.send("go", { policy: { allowedSkills: ["work"] } })).rejects.toMatchObject({
      code: "POLICY_VIOLATION",
    });
    await expect(async () => peer.send("go", { policy: { maxCost: 1 } as never })).rejects.toMatchObject({
      code: "UNKNOWN_OPTION",
    });
    expect(calls).toHaveLength(0);
    expect(
      (await peer.send({ text: "go", skill: "work" }, { policy: { allowedSkills: ["work"] } })).state,
    ).toBe("completed");
  });

  it("the budget comes first, then recursion, then the choice, then the policy", async () => {
    const { peer, calls } = await scriptedPeer(done);
    const asked: string[] = [];
    const selector = (candidates: readonly PeerStats[]) => {
      asked.push("selector");
      return candidates;
    };
    const context = {
      traceId: "a".repeat(32),
      depth: 99,
      rootAgentId: "r",
      currentAgent: "c",
      visitedAgents: [],
    };
    const options = { selector, policy: { maxCostUsd: 0 } };
    const entry = { peer, costUsd: 1 };
    const broke = new A2APeers([entry], { ...options, budget: { maxTasks: 0 } });
    await expect(broke.send("go", { context })).rejects.toMatchObject({
      code: "BUDGET_EXCEEDED",
      category: "permanent",
    });
    const rich = new A2APeers([entry], options);
    await expect(rich.send("go", { context })).rejects.toMatchObject({ code: "RECURSION_REFUSED" });
    expect(asked).toEqual([]);
    await expect(rich.send("go")).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
    expect(asked).toEqual(["selector"]);
    expect(calls).toHaveLength(0);
  });

  it("no more tasks run at a peer than the policy allows", async () => {
    const waiting: EventWriter[] = [];
    const { peer, calls } = await scriptedPeer((_, events) => {
      if (calls.length === 1) waiting.push(events);
      else events.task("COMPLETED");
    });
    const peers = new A2APeers([peer], { policy: { maxConcurrency: 1 } });
    const first = expect(peers.send("one")).resolves.toMatchObject({ state: "completed" });
    await until(() => waiting.length === 1);
    await expect(peers.send("two")).rejects.toMatchObject({
      code: "POLICY_VIOLATION",
      category: "transient",
    });
    waiting[0]?.task("COMPLETED");
    await first;
    await expect(peers.send("three")).resolves.toMatchObject({ state: "completed" });
  });
});

describe("the budget", () => {
  it("sheds what does not fit its window, and says for how long", async () => {
    const { peer, calls } = await scriptedPeer(done);
    const peers = new A2APeers([{ peer, costUsd: 0.4 }], { budget: { maxCostUsd: 1, windowMs: 2_000 } });
    await peers.send("one");
    await peers.send("two");
    const error = await peers.send("three").catch((reason) => reason);
    expect(error).toMatchObject({
      code: "BUDGET_EXCEEDED",
      category: "transient",
      context: { limit: "maxCostUsd" },
    });
    expect(error.context.retryAfterMs).toBeLessThanOrEqual(2_000);
    expect(calls).toHaveLength(2);
    await new Promise((resolve) => setTimeout(resolve, error.context.retryAfterMs + 20));
    await peers.send("four");
    expect(calls).toHaveLength(3);
  });

  it("lets tasks wait in order, up to a number of them", async () => {
    const order: string[] = [];
    const { peer } = await scriptedPeer((call, events) => {
      order.push((call.params.message as { parts: { text: string }[] }).parts[0]?.text ?? "");
      events.task("COMPLETED");
    });
    const peers = new A2APeers([peer], { budget: { maxTasks: 1, windowMs: 150, overflow: { queue: 2 } } });
    const controller = new AbortController();
    const sent = ["one", "two"].map((text) => peers.send(text));
    const left = peers.send("left", { signal: controller.signal });
    await expect(peers.send("too many")).rejects.toMatchObject({ code: "BUDGET_EXCEEDED" });
    expect(peers.budgetUse?.queued).toBe(2);
    controller.abort();
    await expect(left).rejects.toMatchObject({ name: "AbortError" });
    sent.push(peers.send("three"));
    await Promise.all(sent);
    expect(order).toEqual(["one", "two", "three"]);
  });

  it("counts what peers say they took, when it is more than expected", async () => {
    const usage = { metadata: { usage: { total_tokens: 900, cost_usd: 0.5 } } };
    const { peer } = await scriptedPeer((_, events) => void events.task("COMPLETED", usage));
    const peers = new A2APeers([{ peer, costUsd: 0.1, tokens: 1_000 }], {
      budget: { maxCostUsd: 0.45, maxTokens: 5_000 },
    });
    await peers.send("one");
    expect(peers.budgetUse).toMatchObject({ tasks: 1, costUsd: 0.5, tokens: 1_000 });
    await expect(peers.send("two")).rejects.toMatchObject({ code: "BUDGET_EXCEEDED" });
    expect(peers.stats()[0]?.costUsd).toBe(0.5);
  });
});

describe("recursion", () => {
  it("between two served agents ends by the guard, and costs no more than its depth", async () => {
    const links: { peers: A2APeers | undefined; calls: number }[] = [
      { peers: undefined, calls: 0 },
      { peers: undefined, calls: 0 },
    ];
    const agents = await Promise.all(
      links.map((link) =>
        served(async () => {
          link.calls++;
          try {
            return (await link.peers?.send("go"))?.text ?? "";
          } catch (error) {
            return `ended: ${(error as { code?: string }).code}`;
          }
        }),
      ),
    );
    const [first, second] = await Promise.all(agents.map(({ url }) => connect(url)));
    if (first === undefined || second === undefined || links[0] === undefined || links[1] === undefined)
      throw new Error();
    links[0].peers = new A2APeers([second]);
    links[1].peers = new A2APeers([first]);
    const result = await new A2APeers([first]).send("go");
    expect(result.text).toBe("ended: RECURSION_REFUSED");
    expect(links.map(({ calls }) => calls)).toEqual([1, 1]);

    // Allowed to ask each other again, they stop at the depth.
    links[0].peers = new A2APeers([second], { recursion: { allowRevisit: true, maxDepth: 5 } });
    links[1].peers = new A2APeers([first], { recursion: { allowRevisit: true, maxDepth: 5 } });
    expect((await first.send("go")).text).toBe("ended: RECURSION_REFUSED");
    expect(links.map(({ calls }) => calls)).toEqual([1 + 3, 1 + 2]);

    // Of a budget that both share, no more than that is taken.
    const budget = { maxTasks: 4, windowMs: 60_000 };
    const shared = new A2APeers([first, second], {
      budget,
      recursion: { allowRevisit: true, maxDepth: 100 },
    });
    links[0].peers = links[1].peers = shared;
    expect((await shared.send("go")).text).toBe("ended: BUDGET_EXCEEDED");
    expect(shared.budgetUse?.tasks).toBe(4);
  });

  it("between agents that take no care ends at the served agent", async () => {
    let calls = 0;
    let again: (() => Promise<string>) | undefined;
    const { url } = await served({
      limits: { maxDepth: 4 },
      handler: async () => {
        calls++;
        return (await again?.()) ?? "";
      },
    });
    const peer = await connect(url);
    again = async () => (await peer.send("go")).text;
    expect((await peer.send("go")).text).toBe("The chain of agents that ask each other is too long.");
    expect(calls).toBe(4);
  });

  it("is seen in the context that travels with the message, and in the trace", async () => {
    const { peer, calls } = await scriptedPeer(done);
    await new A2APeers([peer]).send({ text: "go", metadata: { mine: 1 } });
    const sent = calls[0]?.params.message as { metadata?: Record<string, unknown> } | undefined;
    const metadata = sent?.metadata;
    const traceparent = calls[0]?.request.headers.traceparent;
    expect(metadata).toMatchObject({
      mine: 1,
      ruvector: { context: { depth: 1, root_agent_id: peer.agentId, visited_agents: [peer.agentId] } },
    });
    const ruvector = metadata?.ruvector as { context: { trace_id: string } } | undefined;
    expect(traceparent).toMatch(new RegExp(`^00-${ruvector?.context.trace_id}-[0-9a-f]{16}-01$`));
  });
});

describe("the choice", () => {
  const stats = (agentId: string, more: Partial<PeerStats> = {}): PeerStats => ({
    agentId,
    name: agentId,
    skills: [],
    latencyMs: undefined,
    costUsd: 0,
    running: 0,
    breaker: "closed",
    ...more,
  });
  const skill = (id: string) => ({
    id,
    name: id,
    description: "",
    tags: [],
    examples: [],
    inputModes: [],
    outputModes: [],
  });
  const ids = (candidates: readonly PeerStats[]) => candidates.map(({ agentId }) => agentId).join("");
  const request = { skill: undefined };

  it("goes by skill, latency, cost or turns, one after the other", () => {
    const a = stats("a", { latencyMs: 100, costUsd: 3, skills: [skill("x")] });
    const b = stats("b", { latencyMs: 50, costUsd: 5, skills: [skill("x")] });
    const c = stats("c", { latencyMs: 900, costUsd: 1 });
    const all = [a, b, c];
    expect(ids(byCapability()(all, { skill: "x" }))).toBe("ab");
    expect(ids(byCapability()(all, request))).toBe("abc");
    expect(ids(byLatency()(all, request))).toBe("bac");
    expect(ids(byLatency()([...all, stats("d")], request))[0]).toBe("d");
    expect(ids(byCost()(all, request))).toBe("cab");
    expect(ids(byCost({ underLatencyMs: 500 })(all, request))).toBe("ab");
    expect(ids(byCost({ underLatencyMs: 1 })(all, request))).toBe("cab");
    expect(ids(chained(byCapability(), byCost())(all, { skill: "x" }))).toBe("ab");
    const turns = roundRobin();
    expect([0, 1, 2, 3, 4].map(() => ids(turns(all, request))[0]).join("")).toBe("abcab");
  });

  it("falls on a peer with the skill, and says when there is none", async () => {
    const [one, two] = await Promise.all([
      served({
        card: { name: "One", description: "1", skills: [{ id: "add", description: "adds" }] },
        handler: () => "one",
      }),
      served({
        card: { name: "Two", description: "2", skills: [{ id: "draw", description: "draws" }] },
        handler: () => "two",
      }),
    ]);
    const peers = new A2APeers([await connect(one.url), await connect(two.url)]);
    expect((await peers.send({ text: "go", skill: "draw" })).text).toBe("two");
    expect((await peers.send({ text: "go", skill: "add" })).text).toBe("one");
    await expect(peers.send({ text: "go", skill: "drew" })).rejects.toMatchObject({
      code: "NO_PEER_FOUND",
      message: expect.stringContaining("did you mean 'draw'?"),
    });
    expect(peers.stats().every(({ latencyMs = 0 }) => latencyMs > 0)).toBe(true);
  });

  it("of an answer falls on the peer that asked", async () => {
    const agents = await Promise.all([served(painter), served(painter)]);
    const peers = new A2APeers(await Promise.all(agents.map(({ url }) => connect(url))));
    const first = await peers.send("a house");
    await peers.send("something else");
    const { taskId, contextId, agentId } = first;
    expect(await peers.send("blue", { taskId, contextId })).toMatchObject({
      state: "input-required",
      agentId,
    });
    expect(await peers.send("huge", { taskId, contextId })).toMatchObject({ state: "completed", agentId });
  });
});

describe("the circuit of a peer", () => {
  it("opens after failures, and lets exactly one probe through", async () => {
    let isWell = false;
    let running = 0;
    let most = 0;
    const { peer, calls } = await scriptedPeer(async (_, events) => {
      if (!isWell) return events.cut();
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 50));
      running--;
      return void events.task("COMPLETED");
    });
    const peers = new A2APeers([peer], { breaker: { failures: 3, cooldownMs: 1_000 } });
    for (let at = 0; at < 3; at++)
      await expect(peers.send("go")).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    expect(peers.stats()[0]?.breaker).toBe("open");
    await expect(peers.send("go")).rejects.toMatchObject({ code: "CIRCUIT_OPEN", category: "transient" });
    expect(calls).toHaveLength(3);

    await new Promise((resolve) => setTimeout(resolve, 1_020));
    const together = await Promise.allSettled(Array.from({ length: 5 }, () => peers.send("go")));
    expect(together.every(({ status }) => status === "rejected")).toBe(true);
    expect(calls).toHaveLength(4);

    isWell = true;
    await new Promise((resolve) => setTimeout(resolve, 1_020));
    const again = await Promise.allSettled(Array.from({ length: 5 }, () => peers.send("go")));
    expect(again.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(most).toBe(1);
    expect(peers.stats()[0]?.breaker).toBe("closed");
    await expect(peers.send("go")).resolves.toMatchObject({ state: "completed" });
  });

  it("leaves the work to others, and does not open for what callers do", async () => {
    const bad = await scriptedPeer((_, events) => events.cut());
    const good = await scriptedPeer(done);
    const peers = new A2APeers([bad.peer, good.peer], {
      breaker: { failures: 1, cooldownMs: 60_000 },
      selector: (all) => all,
    });
    await expect(peers.send("go")).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    for (let at = 0; at < 3; at++) expect((await peers.send("go")).agentId).toBe(good.peer.agentId);

    const slow = await scriptedPeer((call) => (call.method === "CancelTask" ? task("CANCELED") : undefined));
    const alone = new A2APeers([slow.peer], { breaker: { failures: 1 } });
    for (let at = 0; at < 3; at++) {
      await expect(alone.send("go", { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
        name: "TimeoutError",
      });
    }
    expect(alone.stats()[0]).toMatchObject({ breaker: "closed", running: 0 });
    await until(() => slow.calls.length === 3);
  });
});

describe("spans", () => {
  const tracing = (sampler: Sampler = new AlwaysOnSampler()) => {
    // One for each provider: what is shut down exports nothing any more.
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({
      sampler,
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    });
    onTestFinished(() => provider.shutdown());
    return { tracer: provider.getTracer("agents"), spans: () => exporter.getFinishedSpans() };
  };

  it("are made with the tracer that is given, and name the trace", async () => {
    const { peer, calls } = await scriptedPeer((_, events) => {
      if (calls.length === 1) events.task("COMPLETED");
      else if (calls.length === 2) events.task("FAILED");
      else events.cut();
    });
    const { tracer, spans } = tracing();
    const peers = new A2APeers([peer], { tracer });
    await peers.send({ text: "go", skill: "work" });
    await peers.send("go");
    await peers.send("go").catch(() => {});
    const [completed, failed, cut, ...others] = spans();
    expect(others).toEqual([]);
    expect(completed).toMatchObject({ name: "a2a.task", kind: SpanKind.CLIENT, ended: true });
    expect(completed?.attributes).toMatchObject({
      "a2a.agent.id": peer.agentId,
      "a2a.skill": "work",
      "a2a.task.id": "task-1",
      "a2a.task.state": "completed",
    });
    expect(completed?.status.code).toBe(SpanStatusCode.UNSET);
    expect(failed?.status).toMatchObject({ code: SpanStatusCode.ERROR });
    expect(cut?.status).toMatchObject({ code: SpanStatusCode.ERROR });
    expect(cut?.events[0]?.attributes?.["exception.message"]).toMatch(/connection/);

    const { traceId, spanId } = completed?.spanContext() ?? {};
    expect(calls[0]?.request.headers.traceparent).toBe(`00-${traceId}-${spanId}-01`);
    const message = calls[0]?.params.message;
    expect(message).toMatchObject({ metadata: { ruvector: { context: { trace_id: traceId } } } });
  });

  it("go on with the chain of agents, and say when they are not recorded", async () => {
    const { peer, calls } = await scriptedPeer((_, events) => void events.task("COMPLETED"));
    const chain = {
      traceId: "1".repeat(32),
      depth: 1,
      rootAgentId: "a",
      currentAgent: "a",
      visitedAgents: ["a"],
    };
    const recorded = tracing();
    await new A2APeers([peer], { tracer: recorded.tracer }).send("go", { context: chain });
    expect(recorded.spans()[0]?.attributes["a2a.trace.id"]).toBe(chain.traceId);
    const silent = tracing(new AlwaysOffSampler());
    await new A2APeers([peer], { tracer: silent.tracer }).send("go");
    expect(silent.spans()).toEqual([]);
    expect(calls.map(({ request }) => request.headers.traceparent?.slice(-3))).toEqual(["-01", "-00"]);
  });
});
