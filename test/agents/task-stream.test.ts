import { type A2AEvent, TaskAssembly } from "rulake/agents";
import { describe, expect, it } from "vitest";
import { bestOfThree } from "../timing.js";
import { failure, growth, until } from "./hostile-server.js";
import {
  artifact,
  chunk,
  collect,
  collectUntilFailure,
  type EventWriter,
  type PeerCall,
  scriptedPeer,
  TASK,
  task,
} from "./scripted-peer.js";

const states = (events: A2AEvent[]) => events.map(({ type, state }) => state ?? type);
const textOf = (events: A2AEvent[]) => {
  const assembly = new TaskAssembly();
  for (const event of events) assembly.add(event);
  return assembly.task.text;
};
const deltas = (events: A2AEvent[]) =>
  events.reduce(
    (text, { type, append, text: piece = "" }) =>
      type === "artifact" ? (append ? text + piece : piece) : text,
    "",
  );

/** A script for the streaming call alone; everything else is answered by `others`. */
const onStream =
  (
    stream: (events: EventWriter) => unknown,
    others: Record<string, (call: PeerCall, events: EventWriter) => unknown> = {},
  ) =>
  (call: PeerCall, events: EventWriter) => {
    if (call.method === "SendStreamingMessage") return void stream(events);
    return others[call.method]?.(call, events) ?? { error: { code: -32004, message: "not here" } };
  };

describe("the end of a stream", () => {
  it("is the terminal state, though the peer keeps the connection open", async () => {
    const { peer, server } = await scriptedPeer(
      onStream((events) => events.task().status("WORKING").chunk("done", false).status("COMPLETED")),
    );
    const events = await collect(peer.stream("go"));
    expect(states(events)).toEqual(["submitted", "working", "artifact", "completed"]);
    await until(() => server.open.size === 0 || [...server.open].every((socket) => socket.destroyed));
  });

  it.each([
    ["INPUT_REQUIRED", "input-required"],
    ["AUTH_REQUIRED", "auth-required"],
  ])("is a question back: %s", async (wire, state) => {
    const { peer } = await scriptedPeer(onStream((events) => events.task().status(wire, "which one?")));
    const result = await peer.send("go");
    expect(result).toMatchObject({ state, text: "which one?", taskId: TASK });
  });

  it("gives nothing of what comes after it", async () => {
    const { peer } = await scriptedPeer(
      onStream((events) => {
        const frames = [task("SUBMITTED")].map((value) => events.frame({ task: value }));
        const status = (state: string) =>
          events.frame({
            statusUpdate: { taskId: TASK, contextId: "c", status: { state: `TASK_STATE_${state}` } },
          });
        events.raw([...frames, status("COMPLETED"), status("FAILED"), events.frame(chunk("late"))].join(""));
      }),
    );
    const events = await collect(peer.stream("go"));
    expect(states(events)).toEqual(["submitted", "completed"]);
  });

  it("is a message from a peer that makes no task", async () => {
    const { peer } = await scriptedPeer(
      onStream((events) =>
        events.send({
          message: { messageId: "1", role: "ROLE_AGENT", contextId: "c", parts: [{ text: "42" }] },
        }),
      ),
    );
    expect(await peer.send("go")).toMatchObject({ state: "completed", text: "42", taskId: "" });
  });

  it("takes an internal error of the agent for the state failed", async () => {
    const { peer } = await scriptedPeer(
      onStream((events) => {
        events.task();
        events.raw(`data: {"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"boom"}}\n\n`);
      }),
    );
    expect(await peer.send("go")).toMatchObject({ state: "failed", text: "boom", taskId: TASK });
    const direct = await scriptedPeer(() => ({ error: { code: -32603, message: "at once" } }));
    expect(await direct.peer.send("go")).toMatchObject({ state: "failed", text: "at once" });
  });
});

describe("the wire", () => {
  it.each([
    ["CR", "\r"],
    ["CR LF", "\r\n"],
    ["LF", "\n"],
  ])("may end its lines with %s, cut anywhere", async (_, end) => {
    const { peer } = await scriptedPeer(
      onStream(async (events) => {
        const frames = [
          events.frame({ task: task("SUBMITTED") }),
          ": a comment\n\n",
          `id: 7\nretry: 10\n${events.frame(chunk("grün ", false))}`,
          events.frame(chunk("blau")),
          events.frame({
            statusUpdate: { taskId: TASK, contextId: "c", status: { state: "TASK_STATE_COMPLETED" } },
          }),
        ];
        const bytes = Buffer.from(frames.join("").replaceAll("\n", end));
        events.open();
        // Pieces of all lengths: within lines, between CR and LF, within a character.
        for (let at = 0, length = 1; at < bytes.length; at += length, length = (length % 17) + 1) {
          events.response.write(bytes.subarray(at, at + length));
          await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
    const events = await collect(peer.stream("go"));
    expect(states(events)).toEqual(["submitted", "artifact", "artifact", "completed"]);
    expect(textOf(events)).toBe("grün blau");
  });

  it("gives updates in order, however many are asked for at once", async () => {
    const { peer } = await scriptedPeer(
      onStream((events) => {
        events.task();
        for (let at = 0; at < 200; at++) events.chunk(`${at},`, at > 0);
        events.status("COMPLETED");
      }),
    );
    const stream = peer.stream("go");
    const results = await Promise.all(Array.from({ length: 210 }, () => stream.next()));
    const events = results.flatMap(({ done, value }) => (done || value === undefined ? [] : [value]));
    expect(deltas(events)).toBe(Array.from({ length: 200 }, (_, at) => `${at},`).join(""));
    expect(results.filter(({ done }) => done)).toHaveLength(210 - 202);
  });

  it("may name a skill, a context and data of the caller", async () => {
    const { peer, calls } = await scriptedPeer(onStream((events) => events.task("COMPLETED")));
    const sent = { text: "go", skill: "work", data: { a: 1 }, metadata: { mine: true }, messageId: "m-1" };
    await peer.send(sent, { contextId: "c-1", headers: { "x-own": "1" } });
    expect(calls[0]?.params.message).toMatchObject({
      messageId: "m-1",
      contextId: "c-1",
      metadata: { skillId: "work", mine: true },
      parts: [{ text: "go" }, { data: { a: 1 } }],
    });
    expect(calls[0]?.request.headers).toMatchObject({ "x-own": "1", "a2a-version": "1.0" });
  });
});

/** An event with a chunk of text that has one more key. */
const withKey = (key: string) => {
  const artifact = '{"artifactId":"a","parts":[{"text":"x"}]}';
  const update = `{"taskId":"t","contextId":"c","artifact":${artifact},"${key}":{}}`;
  return `data: {"jsonrpc":"2.0","id":1,"result":{"artifactUpdate":${update}}}\n\n`;
};

describe("updates that make no sense", () => {
  it("of another task end the stream and cancel the task", async () => {
    const { peer, of } = await scriptedPeer(
      onStream((events) => events.task().chunk("mine", false).chunk("theirs", true, "task-2"), {
        CancelTask: () => task("CANCELED"),
      }),
    );
    const { events, error } = await collectUntilFailure(peer.stream("go"));
    expect(states(events)).toEqual(["submitted", "artifact"]);
    expect(error).toMatchObject({ code: "FOREIGN_EVENT", category: "permanent" });
    await until(() => of("CancelTask").length === 1);
    expect(of("CancelTask")[0]?.params).toMatchObject({ id: TASK });
  });

  it("of another request end the stream", async () => {
    const { peer } = await scriptedPeer(
      onStream((events) =>
        events.raw(
          `data: {"jsonrpc":"2.0","id":99,"result":${JSON.stringify({ task: task("WORKING") })}}\n\n`,
        ),
      ),
    );
    expect((await collectUntilFailure(peer.stream("go"))).error).toMatchObject({ code: "FOREIGN_EVENT" });
  });

  it("with states and kinds of tomorrow are unknown, and no end", async () => {
    const { peer } = await scriptedPeer(
      onStream((events) => {
        events.task().status("DREAMING");
        events.send({ hologram: { taskId: TASK } });
        events.status("COMPLETED");
      }),
    );
    const events = await collect(peer.stream("go"));
    expect(states(events)).toEqual(["submitted", "unknown", "unknown", "completed"]);
    expect(events.every(({ taskId }) => taskId === TASK)).toBe(true);
  });

  it.each([
    ["no JSON", "data: {oops\n\n", "INVALID_AGENT_RESPONSE"],
    ["no object", "data: 7\n\n", "INVALID_AGENT_RESPONSE"],
    ["no result", 'data: {"jsonrpc":"2.0","id":1}\n\n', "INVALID_AGENT_RESPONSE"],
    ["too deep", `data: {"a":${"[".repeat(200)}${"]".repeat(200)}}\n\n`, "JSON_REFUSED"],
    ["a chunk with a key __proto__", withKey("__proto__"), "JSON_REFUSED"],
    ["a chunk with that key in another spelling", withKey("\\u005f_proto_\\u005f"), "JSON_REFUSED"],
  ])("end the stream: %s", async (_, text, code) => {
    const { peer } = await scriptedPeer(onStream((events) => events.task().raw(text)));
    expect((await collectUntilFailure(peer.stream("go"))).error).toMatchObject({ code });
  });
});

describe("limits", () => {
  it("count updates", async () => {
    const { peer, of } = await scriptedPeer(
      onStream(
        (events) => {
          events.task();
          const write = () => {
            while (!events.response.destroyed)
              if (!events.send(chunk("x"))) return void events.response.once("drain", write);
          };
          write();
        },
        { CancelTask: () => task("CANCELED") },
      ),
      { limits: { maxEvents: 1_000 } },
    );
    const { events, error } = await collectUntilFailure(peer.stream("go"));
    expect(error).toMatchObject({ code: "RESPONSE_TOO_LARGE" });
    expect(events.length).toBeLessThanOrEqual(1_000);
    await until(() => of("CancelTask").length === 1);
  });

  it("count bytes of a stream, and of an event without an end", async () => {
    const flood = (piece: string) =>
      onStream((events) => {
        events.task();
        const write = () => {
          while (!events.response.destroyed)
            if (!events.raw(piece)) return void events.response.once("drain", write);
        };
        write();
      });
    const endless = await scriptedPeer(flood("x".repeat(10_000)), { limits: { eventBytes: 100_000 } });
    expect((await collectUntilFailure(endless.peer.stream("go"))).error).toMatchObject({
      context: { limit: "eventBytes" },
    });
    const comments = await scriptedPeer(flood(`:${"c".repeat(1_000)}\n\n`), {
      limits: { streamBytes: 1_000_000 },
    });
    expect((await collectUntilFailure(comments.peer.stream("go"))).error).toMatchObject({
      context: { limit: "streamBytes" },
    });
  });

  it.each([
    ["pieces of one artifact", () => "a"],
    ["artifacts with long names", (at: number) => `${at}${"n".repeat(5_000)}`],
  ])("keep %s that never end from filling the memory", async (_, nameOf) => {
    const text = "x".repeat(5_000);
    const { peer } = await scriptedPeer(
      onStream((events) => {
        events.task();
        let at = 0;
        const write = () => {
          while (!events.response.destroyed) {
            const each = chunk(text) as { artifactUpdate: { artifact: { artifactId: string } } };
            each.artifactUpdate.artifact.artifactId = nameOf(at++);
            if (!events.send(each)) return void events.response.once("drain", write);
          }
        };
        write();
      }),
    );
    const read = async () => {
      for await (const _ of peer.stream("go"));
    };
    const most = 64 * 1024 * 1024;
    const work = async () => expect((await failure(read())).code).toBe("RESPONSE_TOO_LARGE");
    expect(await growth(most, work)).toBeLessThan(most);
  });

  it("end silence, and a task without an end", bestOfThree, async () => {
    const silent = await scriptedPeer(
      onStream((events) => events.task()),
      { limits: { idleMs: 150 } },
    );
    const started = performance.now();
    expect((await collectUntilFailure(silent.peer.stream("go"))).error).toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    expect(performance.now() - started).toBeLessThan(2_000);

    const busy = await scriptedPeer(
      onStream(
        (events) => {
          events.task();
          const timer = setInterval(() => events.raw(":\n\n"), 20);
          events.response.on("close", () => clearInterval(timer));
        },
        { CancelTask: () => task("CANCELED") },
      ),
      { limits: { idleMs: 5_000 } },
    );
    const { error } = await collectUntilFailure(busy.peer.stream("go", { policy: { maxDurationMs: 200 } }));
    expect(error).toMatchObject({ code: "TASK_TIMEOUT", category: "transient" });
    await until(() => busy.of("CancelTask").length === 1);
  });
});

describe("a connection that breaks", () => {
  const whole = "one two three four";

  it.each([
    ["ends", (events: EventWriter) => events.end()],
    ["is cut", (events: EventWriter) => setTimeout(() => events.cut(), 20)],
    [
      "ends within an event",
      (events: EventWriter) => {
        events.raw(events.frame(chunk("half an event")).slice(0, 60));
        events.end();
      },
    ],
  ])("and %s is replaced, and nothing is lost or given twice", async (_, breakOff) => {
    const { peer, of } = await scriptedPeer((call, events) => {
      if (call.method === "SendStreamingMessage") {
        events.task().chunk("one ", false).chunk("two ");
        breakOff(events);
        return undefined;
      }
      if (call.method === "SubscribeToTask") {
        events.task("WORKING", artifact("one two three ")).chunk("four").status("COMPLETED");
        return undefined;
      }
      return task("COMPLETED", artifact(whole));
    });
    const events = await collect(peer.stream("go"));
    expect(textOf(events)).toBe(whole);
    expect(deltas(events)).toBe(whole);
    expect(events.at(-1)).toMatchObject({ type: "status", state: "completed" });
    expect(of("SubscribeToTask")).toHaveLength(1);
    expect(of("SendStreamingMessage")).toHaveLength(1);
  });

  it("after a long text, whose halves of characters fall between pieces, gets the rest of it", async () => {
    // More than is kept as it is, in pieces that end within surrogate pairs.
    const long = "ä\u{1f600}".repeat(70_000);
    const sent = long.slice(0, 199_999);
    for (const stored of [long, `other${long}`]) {
      const { peer } = await scriptedPeer((call, events) => {
        if (call.method === "SendStreamingMessage") {
          events.task().chunk(sent.slice(0, 1_000), false);
          for (let at = 1_000; at < sent.length; at += 1_000) events.chunk(sent.slice(at, at + 1_000));
          return void events.end();
        }
        if (call.method === "SubscribeToTask") return { error: { code: -32004, message: "over already" } };
        return task("COMPLETED", artifact(stored));
      });
      const events = await collect(peer.stream("go"));
      expect(deltas(events) === stored).toBe(true);
      const rest = events.filter(({ type }) => type === "artifact").at(-1);
      expect([rest?.append, rest?.text?.length]).toEqual(
        stored === long ? [true, long.length - sent.length] : [false, stored.length],
      );
    }
  });

  it("whose task is over meanwhile is made good from a snapshot", async () => {
    const { peer } = await scriptedPeer((call, events) => {
      if (call.method === "SendStreamingMessage") return void events.task().chunk("one ", false).end();
      if (call.method === "SubscribeToTask") return { error: { code: -32004, message: "over already" } };
      return task("COMPLETED", artifact(whole));
    });
    const events = await collect(peer.stream("go"));
    expect(deltas(events)).toBe(whole);
    expect(events.at(-1)).toMatchObject({ type: "task", state: "completed" });
  });

  it("and a peer that repeats what it said before: the snapshot counts", async () => {
    const { peer } = await scriptedPeer((call, events) => {
      if (call.method === "SendStreamingMessage")
        return void events.task().chunk("one ", false).chunk("two ").end();
      // The snapshot holds an update that is still on its way: it comes twice.
      if (call.method === "SubscribeToTask") {
        return void events
          .task("WORKING", artifact("one two three "))
          .chunk("three ")
          .chunk("four")
          .status("COMPLETED");
      }
      return task("COMPLETED", artifact(whole));
    });
    const events = await collect(peer.stream("go"));
    expect(deltas(events)).toBe(whole);
    expect(textOf(events)).toBe(whole);
  });

  it("again and again ends in an error that names the task", async () => {
    const { peer, of } = await scriptedPeer((call, events) => {
      if (call.method === "SendStreamingMessage") return void events.task().end();
      if (call.method === "SubscribeToTask") return void events.end();
      return { error: { code: -32004, message: "no" } };
    });
    const { error } = await collectUntilFailure(peer.stream("go"));
    expect(error).toMatchObject({
      code: "STREAM_INTERRUPTED",
      category: "transient",
      context: { taskId: TASK },
    });
    expect(of("SubscribeToTask").length).toBeLessThanOrEqual(6);
  });

  it("before the task has a name is an error: the message may have arrived", async () => {
    const { peer, of } = await scriptedPeer(onStream((events) => events.end()));
    const { error } = await collectUntilFailure(peer.stream("go"));
    expect(error).toMatchObject({ code: "STREAM_INTERRUPTED" });
    expect(of("SendStreamingMessage")).toHaveLength(1);
  });
});

describe("cancelling", () => {
  it("reaches the peer within 100 ms, and ends the loop at once", bestOfThree, async () => {
    const { peer, of } = await scriptedPeer(
      onStream((events) => events.task().status("WORKING"), { CancelTask: () => task("CANCELED") }),
    );
    const controller = new AbortController();
    let abortedAt = 0;
    const { events, error } = await collectUntilFailure(
      (async function* () {
        for await (const event of peer.stream("go", { signal: controller.signal })) {
          yield event;
          if (event.state === "working") {
            setTimeout(() => {
              abortedAt = performance.now();
              controller.abort();
            }, 50);
          }
        }
      })(),
    );
    expect(performance.now() - abortedAt).toBeLessThan(100);
    expect(error).toMatchObject({ name: "AbortError" });
    expect(states(events)).toEqual(["submitted", "working"]);
    await until(() => of("CancelTask").length === 1);
    expect((of("CancelTask")[0]?.at ?? Number.NaN) - abortedAt).toBeLessThan(100);
  });

  it("reaches a peer that has not named the task yet as soon as it does", async () => {
    const { peer, of } = await scriptedPeer(
      onStream((events) => void setTimeout(() => events.task(), 150), { CancelTask: () => task("CANCELED") }),
    );
    const error = await peer.send("go", { signal: AbortSignal.timeout(50) }).catch((reason) => reason);
    expect(error).toMatchObject({ name: "TimeoutError" });
    await until(() => of("CancelTask").length === 1);
  });

  it("sends nothing when it comes before the start", async () => {
    const { peer, calls } = await scriptedPeer(() => undefined);
    await expect(peer.send("go", { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(calls).toHaveLength(0);
  });

  it("is not what leaving the loop does", async () => {
    const { peer, server, of } = await scriptedPeer(onStream((events) => events.task().status("WORKING")));
    for await (const event of peer.stream("go")) if (event.state === "working") break;
    await until(() => server.open.size === 0);
    expect(of("CancelTask")).toHaveLength(0);
  });
});

describe("back-pressure", () => {
  it("stops the peer while the consumer thinks", async () => {
    let written = 0;
    const { peer } = await scriptedPeer(
      onStream((events) => {
        events.task();
        const frame = events.frame(chunk("x".repeat(1_000)));
        const write = () => {
          while (!events.response.destroyed) {
            written += frame.length;
            if (!events.raw(frame)) return void events.response.once("drain", write);
          }
        };
        write();
      }),
    );
    for await (const event of peer.stream("go")) {
      if (event.type !== "artifact") continue;
      await new Promise((resolve) => setTimeout(resolve, 300));
      const before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(written).toBe(before);
      expect(written).toBeLessThan(32 * 1024 * 1024);
      break;
    }
  });
});

describe("a peer that does not stream", () => {
  it("is asked after its task until that is over", async () => {
    let looks = 0;
    const { peer, of } = await scriptedPeer(
      (call) => {
        if (call.method === "SendMessage") return { task: task("SUBMITTED") };
        const state = ["WORKING", "WORKING", "COMPLETED"][looks++] ?? "COMPLETED";
        return task(state, artifact("one two".slice(0, looks * 3)));
      },
      {},
      { capabilities: { streaming: false } },
    );
    const events = await collect(peer.stream("go"));
    expect(deltas(events)).toBe("one two");
    expect(events.at(-1)?.state).toBe("completed");
    expect(of("SendMessage")[0]?.params).toMatchObject({ configuration: { returnImmediately: true } });
  });
});
