import { type AgentHandler, type ConnectOptions, discoverAgent } from "rulake/agents";
import { beforeAll, describe, expect, it } from "vitest";
import { keyPair } from "./key-pair.js";
import { type PythonSdk, pythonAgent, pythonCaller, pythonWith } from "./python.js";
import { connect, served } from "./served-agent.js";
import { exercise } from "./told-agent.js";

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

const agents: [string, PythonSdk, string, ConnectOptions][] = [
  ["1.3.0 over JSON-RPC 1.0", "1.3.0", "agent_1.py", { bindings: ["JSONRPC"], verify: "require" }],
  ["1.3.0 over REST 1.0", "1.3.0", "agent_1.py", { bindings: ["HTTP+JSON"], verify: "require" }],
  ["1.3.0 over gRPC 1.0", "1.3.0", "agent_1.py", { bindings: ["GRPC"], verify: "require" }],
  ["1.3.0 over JSON-RPC 0.3", "1.3.0", "agent_1.py", { protocol: "0.3", verify: "require" }],
  ["0.3.26 over JSON-RPC 0.3", "0.3.26", "agent_0_3.py", { verify: "require" }],
];

describe.each(agents)("an agent on Python %s", (_, sdk, program, options) => {
  it("streams, asks back, echoes, cancels, and is resumed after a cut", async ({ skip }) => {
    const { origin, wire, grpcWire } = await pythonAgent(pythonOf(sdk, skip), program);
    const peer = await connect(origin, options);
    expect(peer.verified).toMatchObject({
      kid: "key-1",
      trust: "origin",
      form: sdk === "1.3.0" ? "sdk" : "sdk-0.3",
    });
    expect(peer.card.name).toBe("Python agent ü");

    // On 0.3.26 a task that is resumed stores every further piece twice.
    const cuttable = peer.interface.binding === "GRPC" ? grpcWire : wire;
    await exercise(peer, cuttable, { storesTwice: sdk === "0.3.26" });
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
  const { privateKey, publicKey } = keyPair();
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
