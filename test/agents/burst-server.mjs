// A peer that sends any number of updates as fast as its socket takes them, in a process of its own.
//   node burst-server.mjs   prints its URL; the message says how many: "20000", or "1000 every 1"
import { createServer } from "node:http";

const task = "burst";
/** @param {unknown} id @param {object} result */
const envelope = (id, result) => `data: ${JSON.stringify({ jsonrpc: "2.0", id, result })}\n\n`;
/** @param {string} state */
const status = (state) => ({
  statusUpdate: { taskId: task, contextId: "c", status: { state: `TASK_STATE_${state}` } },
});
/** @param {number} at */
const chunk = (at) => ({
  artifactUpdate: {
    taskId: task,
    contextId: "c",
    append: at > 0,
    artifact: { artifactId: "a", parts: [{ text: `${at} ` }] },
  },
});

const port = () => /** @type {import("node:net").AddressInfo} */ (server.address()).port;

const server = createServer(async (request, response) => {
  const url = `http://127.0.0.1:${port()}/`;
  if (request.method === "GET") {
    const supportedInterfaces = [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }];
    const card = {
      name: "Burst",
      description: "Bursts",
      version: "1",
      supportedInterfaces,
      capabilities: { streaming: true },
    };
    const modes = { defaultInputModes: ["text/plain"], defaultOutputModes: ["text/plain"], skills: [] };
    response.setHeader("content-type", "application/json").end(JSON.stringify({ ...card, ...modes }));
    return;
  }
  let body = "";
  for await (const piece of request.setEncoding("utf8")) body += piece;
  const { id, params } = JSON.parse(body);
  const [count, everyMs] = params.message.parts[0].text.split(" every ").map(Number);
  const task0 = { task: { id: task, contextId: "c", status: { state: "TASK_STATE_SUBMITTED" } } };
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(envelope(id, task0));
  // Written out beforehand, so that the sender is no slower than the wire.
  const frames = Array.from({ length: count }, (_, at) => envelope(id, chunk(at)));
  for (const frame of frames) {
    if (!response.write(frame)) await new Promise((resolve) => response.once("drain", resolve));
    if (everyMs) await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  response.end(envelope(id, status("COMPLETED")));
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${port()}/`));
process.on("disconnect", () => process.exit());
