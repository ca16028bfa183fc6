import { generateKeyPairSync } from "node:crypto";
import { type A2AEvent, type AgentHandler, type ConnectOptions, discoverAgent } from "rulake/agents";
import { beforeAll, describe, expect, it } from "vitest";
import { type PythonSdk, pythonAgent, pythonCaller, pythonWith } from "./python.js";
import { connect, served } from "./served-agent.js";

const heavy = process.env.RULAKE_HEAVY === "1";
const pythons = new Map<PythonSdk, string>();

beforeAll(async () => {
  const find = async (sdk: PythonSdk, mayInstall: boolean) => {
    const found = await pythonWith(sdk, mayInstall);
    if ("python" in found) pythons.set(sdk, found.python);
    else if (heavy) throw new Error(found.missing);
    else console.log(`not run: ${found.missing}`);
  };
  // One SDK is enough for every day; `npm run test:heavy` wants both.
  await Promise.all([find("1.3.0", true), find("0.3.26", heavy)]);
}, 240_000);

/** The interpreter, or the end of the test where there is none. */
function pythonOf(sdk: PythonSdk, skip: (note: string) => never): string {
  return pythons.get(sdk) ?? skip(`no a2a-sdk ${sdk} for Python`);
}

async function texts(events: AsyncIterable<A2AEvent>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) if (event.type === "artifact") seen.push(event.text ?? "");
  return seen;
}

const agents: [string, PythonSdk, string, ConnectOptions][] = [
  ["1.3.0 over JSON-RPC 1.0", "1.3.0", "agent_1.py", { bindings: ["JSONRPC"], verify: "require" }],
  ["1.3.0 over REST 1.0", "1.3.0", "agent_1.py", { bindings: ["HTTP+JSON"], verify: "require" }],
  ["1.3.0 over JSON-RPC 0.3", "1.3.0", "agent_1.py", { protocol: "0.3", verify: "require" }],
  ["0.3.26 over JSON-RPC 0.3", "0.3.26", "agent_0_3.py", { verify: "require" }],
];

describe.each(agents)("an agent on Python %s", (_, sdk, program, options) => {
  it("streams, asks back, echoes, cancels, and is resumed after a cut", async ({ skip }) => {
    const { origin, wire } = await pythonAgent(pythonOf(sdk, skip), program);
    const peer = await connect(origin, options);
    expect(peer.verified).toMatchObject({
      kid: "key-1",
      trust: "origin",
      form: sdk === "1.3.0" ? "sdk" : "sdk-0.3",
    });
    expect(peer.card.name).toBe("Python agent ü");

    expect(await texts(peer.stream("count 4"))).toEqual(["0 ", "1 ", "2 ", "3 "]);

    const asked = await peer.send("ask");
    expect(asked).toMatchObject({ state: "input-required", text: "which colour?" });
    const { taskId, contextId } = asked;
    const painted = await peer.send("blue", { taskId, contextId });
    expect(painted).toMatchObject({ state: "completed", taskId, text: "painted blue" });
    expect(await peer.get(taskId)).toMatchObject({ state: "completed" });

    const file = { name: "a.bin", mediaType: "application/x-test", bytes: new Uint8Array([0, 255, 10, 13]) };
    const echoed = await peer.send({ text: "echo", files: [file], data: { a: [1, "ü"] } });
    expect(echoed.artifacts[0]?.parts).toEqual(
      expect.arrayContaining([
        { text: "echo" },
        { file: expect.objectContaining(file) },
        { data: { a: [1, "ü"] } },
      ]),
    );

    const controller = new AbortController();
    let running = "";
    await expect(async () => {
      for await (const event of peer.stream("sleep", { signal: controller.signal })) {
        running = event.taskId;
        if (event.state === "working") controller.abort();
      }
    }).rejects.toHaveProperty("name", "AbortError");
    await expect.poll(async () => (await peer.get(running)).state, { timeout: 5_000 }).toBe("canceled");

    // What was missed comes with a snapshot, so that the parts add up to the whole whatever was lost on the way.
    let cuts = 0;
    let whole = "";
    let counting = "";
    for await (const event of peer.stream("count 12")) {
      counting = event.taskId;
      if (event.type === "task" && event.artifacts?.[0] !== undefined) whole = event.artifacts[0].text;
      if (event.type === "artifact") whole = event.append ? whole + event.text : (event.text ?? "");
      if (event.type === "artifact" && cuts === 0) {
        cuts++;
        wire.cut();
      }
    }
    // An agent on 0.3.26 that is resumed stores every further piece twice: that much is its word against ours.
    const stored = (await peer.get(counting)).artifacts[0]?.text ?? "";
    expect(whole).toBe(stored);
    const numbers = stored.trim().split(/\s+/);
    expect(sdk === "0.3.26" ? [...new Set(numbers)] : numbers).toEqual([...Array(12).keys()].map(String));
    expect(cuts).toBe(1);
  });
});

const answering: AgentHandler = async function* ({ text, files, data, history, signal }) {
  if (text === "sleep") {
    yield { status: "asleep" };
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  } else if (text === "echo") {
    yield {
      artifactId: "back",
      parts: [...files.map((file) => ({ file })), ...data.map((value) => ({ data: value }))],
    };
  } else if (text === "a house") yield { inputRequired: "which colour?" };
  else if (history.some((turn) => turn.text === "a house")) yield `painted ${text}`;
  else yield* text.split(/(?<= )/);
};

describe("a served agent", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = publicKey.export({ format: "jwk" });
  const serveSigned = () => served({ handler: answering, signingKey: privateKey });

  it.for(["JSONRPC", "HTTP+JSON"])("answers a caller on Python 1.3.0 over %s", async (binding, { skip }) => {
    const { url } = await serveSigned();
    const python = pythonOf("1.3.0", skip);
    const seen = await pythonCaller(python, "caller_1.py", [
      url,
      binding,
      JSON.stringify({ ...jwk, alg: "ES256" }),
    ]);
    const task = expect.any(Array);
    expect(seen).toMatchObject({
      stream: { chunks: ["one ", "two ", "three"], task },
      echo: { parts: [["a.bin", "application/x-test", "AP8KDQ=="], "data"] },
      ask: [
        { says: "which colour?", task },
        { chunks: ["painted blue"], task },
      ],
      get: "TASK_STATE_COMPLETED",
      cancel: "TASK_STATE_CANCELED",
    });
    const { stream, ask } = seen as {
      stream: { states: string[] };
      ask: { states: string[]; task: string[] }[];
    };
    expect(stream.states.at(-1)).toBe("TASK_STATE_COMPLETED");
    expect(ask[0]?.states.at(-1)).toBe("TASK_STATE_INPUT_REQUIRED");
    expect(ask[1]?.states.at(-1)).toBe("TASK_STATE_COMPLETED");
  });

  it("answers a caller on Python 0.3.26", async ({ skip }) => {
    const { url } = await serveSigned();
    const seen = await pythonCaller(pythonOf("0.3.26", skip), "caller_0_3.py", [url]);
    expect(seen).toMatchObject({
      stream: { text: "one two three" },
      echo: {
        parts: [
          { kind: "file", file: { bytes: "AP8KDQ==", mimeType: "application/x-test", name: "a.bin" } },
          { kind: "data", data: { a: [1, "ü"] } },
        ],
      },
      ask: [{ says: "which colour?" }, { text: "painted blue" }],
      get: "completed",
      cancel: "canceled",
    });
    const { stream } = seen as { stream: { states: string[] } };
    expect(stream.states.at(-1)).toBe("completed");
  });

  it("signs its card so that both SDKs and this one agree", async () => {
    const { url } = await serveSigned();
    const trust = { keys: [{ ...jwk, kty: "EC" }] };
    const found = await discoverAgent(url, { network: { allowLoopback: true }, trust, verify: "require" });
    expect(found.verified).toMatchObject({ trust: "key", form: "sdk" });
  });
});
