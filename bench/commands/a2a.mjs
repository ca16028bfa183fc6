// A burst of updates from a remote agent: our peer and the client of the SDK, in turns, from the same server.
// The server is this file, run with --serve in a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { packageCopy } from "../install.mjs";
import { describeConditions } from "../machine.mjs";
import { timed } from "../measure/clock.mjs";
import { median } from "../measure/statistics.mjs";

/** @typedef {{ name: string; wallMs: number; cpuMs: number; p99Ms: number; maxMs: number; lost: number }} Round */

export const about = "updates of a remote agent: a burst of 20,000 beside the SDK's client";

/** It needs no data set, and runs once. */
export const standalone = true;

const EVENTS = 20_000;
const ROUNDS = 15;

/**
 * @param {unknown} _dataset
 * @param {import("../run.mjs").Options} options
 */
export async function run(_dataset, { quick }) {
  const rounds = quick ? 3 : ROUNDS;
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), "--serve"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = await once(server.stdout, "data");
    const url = String(line).trim();
    const clients = [await ours(url), await theirs(url)];
    // Twice each before anything counts, for code that is compiled on first use.
    for (const { burst } of [...clients, ...clients]) await burst();
    /** @type {Round[]} */
    const measured = [];
    for (let round = 0; round < rounds; round++) {
      for (const client of round % 2 === 0 ? clients : clients.toReversed())
        measured.push(await measure(client));
    }
    report(measured, rounds, quick);
    await clients[0]?.close();
  } finally {
    server.kill();
  }
}

/** @typedef {{ name: string; burst(): Promise<number>; close(): Promise<void> }} Client */

/** @param {string} url @returns {Promise<Client>} */
async function ours(url) {
  const { A2APeer } = await import(new URL("dist/agents.mjs", packageCopy).href);
  const peer = await A2APeer.connect(url, { network: { allowLoopback: true } });
  return {
    name: "rulake A2APeer",
    async burst() {
      let chunks = 0;
      for await (const { type } of peer.stream(String(EVENTS))) if (type === "artifact") chunks++;
      return chunks;
    },
    close: () => peer.close(),
  };
}

/** @param {string} url @returns {Promise<Client>} */
async function theirs(url) {
  const { ClientFactory, JsonRpcTransportFactory } = await import("@a2a-js/sdk/client");
  const client = await new ClientFactory({ transports: [new JsonRpcTransportFactory()] }).createFromUrl(url);
  const part = {
    content: { $case: "text", value: String(EVENTS) },
    metadata: undefined,
    filename: "",
    mediaType: "",
  };
  const ids = { messageId: "1", contextId: "", taskId: "" };
  const message = {
    ...ids,
    role: 1,
    parts: [part],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
  return {
    name: "@a2a-js/sdk Client",
    async burst() {
      let chunks = 0;
      const request = /** @type {any} */ ({
        tenant: "",
        message,
        configuration: undefined,
        metadata: undefined,
      });
      for await (const { payload } of client.sendMessageStream(request))
        if (payload?.$case === "artifactUpdate") chunks++;
      return chunks;
    },
    close: async () => {},
  };
}

/** @param {Client} client @returns {Promise<Round>} */
async function measure({ name, burst }) {
  const { wall, cpu, result } = await timed(burst);
  // Another burst, because looking at the loop costs time at each of its turns.
  const delays = (await loopDelays(burst)).sort((a, b) => a - b);
  const at = (/** @type {number} */ share) =>
    delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? 0;
  return {
    name,
    wallMs: wall * 1000,
    cpuMs: cpu * 1000,
    p99Ms: at(0.99),
    maxMs: at(1),
    lost: EVENTS - result,
  };
}

/** @param {() => Promise<unknown>} work */
async function loopDelays(work) {
  /** @type {number[]} */
  const delays = [];
  let done = false;
  const watching = (async () => {
    while (!done) {
      const before = { at: performance.now(), waited: waitedForCpu() };
      await sleep(1);
      delays.push(performance.now() - before.at - (waitedForCpu() - before.waited) - 1);
    }
  })();
  await work();
  done = true;
  await watching;
  return delays;
}

/** Milliseconds this thread has been ready to run without running, see sched-stats.rst of the Linux kernel. */
function waitedForCpu() {
  if (process.platform !== "linux") return 0;
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[1]) / 1e6;
}

/** @param {Round[]} measured @param {number} rounds @param {boolean} quick */
function report(measured, rounds, quick) {
  const names = [...new Set(measured.map(({ name }) => name))];
  const entries = names.map((name) => {
    const own = measured.filter((round) => round.name === name);
    const middle = (/** @type {"wallMs" | "cpuMs" | "p99Ms" | "maxMs"} */ key) =>
      median(own.map((round) => round[key]));
    const cpuMs = middle("cpuMs");
    return {
      name,
      lost: Math.max(...own.map(({ lost }) => lost)),
      wallMs: middle("wallMs"),
      cpuMs,
      eventsPerCpuSecond: (EVENTS / cpuMs) * 1000,
      loopP99Ms: middle("p99Ms"),
      loopMaxMs: middle("maxMs"),
    };
  });
  console.table(entries);
  if (quick) return;
  const conditions = describeConditions();
  const folder = new URL("../results/a2a/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const results = { events: EVENTS, rounds, conditions, entries };
  writeFileSync(new URL("burst.json", folder), `${JSON.stringify(results, undefined, 2)}\n`);
  const rows = entries.map(({ name, lost, wallMs, cpuMs, loopP99Ms, loopMaxMs }) => {
    const cells = [wallMs, cpuMs, loopP99Ms, loopMaxMs].map((value) => value.toFixed(1));
    return `| ${[name, lost, ...cells].join(" | ")} |`;
  });
  const { cpu, cores, node, date } = conditions;
  const text = `# A burst of ${EVENTS.toLocaleString("en")} updates

\`npm run bench -- a2a\`: medians of ${rounds} rounds, the clients in turns, the server in a process of its own. Delays of
the event loop are without the time the thread was ready and had no CPU. ${cpu}, ${cores} cores, Node.js ${node}, ${date.slice(0, 10)}.

| client | updates lost | wall ms | CPU ms | loop delay p99, ms | longest, ms |
|---|---|---|---|---|---|
${rows.join("\n")}
`;
  writeFileSync(new URL("burst.md", folder), text);
}

function serve() {
  const port = () => /** @type {import("node:net").AddressInfo} */ (server.address()).port;
  const server = createServer(async (request, response) => {
    if (request.method === "GET") {
      const url = `http://127.0.0.1:${port()}/`;
      const card = {
        ...{
          name: "Burst",
          description: "Sends updates",
          version: "1",
          skills: [],
          capabilities: { streaming: true },
        },
        ...{ defaultInputModes: ["text/plain"], defaultOutputModes: ["text/plain"] },
        supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      };
      response.setHeader("content-type", "application/json").end(JSON.stringify(card));
      return;
    }
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    const { id, params } = JSON.parse(body);
    const frame = (/** @type {object} */ result) =>
      `data: ${JSON.stringify({ jsonrpc: "2.0", id, result })}\n\n`;
    const ids = { taskId: "burst", contextId: "c" };
    response.writeHead(200, { "content-type": "text/event-stream" });
    const started = { id: ids.taskId, contextId: ids.contextId, status: { state: "TASK_STATE_WORKING" } };
    response.write(frame({ task: started }));
    // Written out beforehand, so that the sender is no slower than the wire.
    const frames = Array.from({ length: Number(params.message.parts[0].text) }, (_, at) => {
      const artifact = { artifactId: "a", parts: [{ text: `word ${at} ` }] };
      return frame({ artifactUpdate: { ...ids, append: at > 0, artifact } });
    });
    for (const each of frames) if (!response.write(each)) await once(response, "drain");
    response.end(frame({ statusUpdate: { ...ids, status: { state: "TASK_STATE_COMPLETED" } } }));
  });
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${port()}/`));
}

if (process.argv[2] === "--serve") serve();
