import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { connect, served } from "./served-agent.js";

const run = promisify(execFile);

/** Runs a program in a process of its own, with garbage collection on demand. */
const program = (code: string) =>
  run(process.execPath, ["--expose-gc", "--input-type=module", "--eval", code], {
    cwd: inRoot("."),
    timeout: 50_000,
  });

const setup = `
  import { A2APeer, serveAsA2A } from "rulake/agents";
  const server = await serveAsA2A({
    card: { name: "A", description: "B" },
    limits: { keptTasks: 10 },
    handler: async function* ({ text, signal }) {
      yield "one ";
      if (text === "wait") await new Promise((resolve) => signal.addEventListener("abort", resolve));
      yield "two";
    },
  });
  const { url } = await server.listen();
  const peer = await A2APeer.connect(url, { network: { allowLoopback: true } });
`;

describe("a process", () => {
  it("exits by itself once peers and servers are closed", async () => {
    const { stdout } = await program(`${setup}
      console.log((await peer.send("go")).text);
      const error = await peer.send("wait", { signal: AbortSignal.timeout(100) }).catch((reason) => reason);
      console.log(error.name);
      for await (const event of peer.stream("wait")) if (event.type === "artifact") break;
      await peer.close();
      await server.close();
      console.log("closed");
    `);
    expect(stdout.trim().split("\n")).toEqual(["one two", "TimeoutError", "closed"]);
  });

  it("exits by itself once peers over gRPC are closed", async () => {
    const { stdout } = await program(`
      import { createServer } from "node:http";
      import { A2AService } from "@a2a-js/sdk/server/grpc";
      import { Server, ServerCredentials } from "@grpc/grpc-js";
      import { A2APeer } from "rulake/agents";
      const service = new Server();
      const status = { state: 3, message: undefined, timestamp: undefined };
      const update = { taskId: "t", contextId: "c", status, metadata: undefined };
      service.addService(A2AService, {
        sendStreamingMessage(call) {
          call.write({ payload: { $case: "statusUpdate", value: update } });
          call.end();
        },
        getTask() {},
      });
      const port = await new Promise((resolve, reject) =>
        service.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, at) =>
          error ? reject(error) : resolve(at)));
      const url = "127.0.0.1:" + port;
      const supportedInterfaces = [{ url, protocolBinding: "GRPC", protocolVersion: "1.0" }];
      const capabilities = { streaming: true };
      const card = { name: "A", description: "B", version: "1", skills: [], supportedInterfaces, capabilities };
      const http = createServer((_, response) => response.end(JSON.stringify(card)));
      await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
      const peer = await A2APeer.connect("http://127.0.0.1:" + http.address().port, {
        network: { allowLoopback: true },
        trust: { origins: ["http://" + url] },
      });
      console.log((await peer.send("go")).state);
      const error = await peer.get("t", { signal: AbortSignal.timeout(100) }).catch((reason) => reason);
      console.log(error.name);
      await peer.close();
      http.close();
      http.closeAllConnections();
      await new Promise((resolve) => service.tryShutdown(resolve));
      console.log("closed");
    `);
    expect(stdout.trim().split("\n")).toEqual(["completed", "TimeoutError", "closed"]);
  });

  it("does not grow with the tasks it has sent and answered", async () => {
    const { stdout } = await program(`${setup}
      const heap = async () => {
        for (let at = 0; at < 3; at++) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          globalThis.gc();
        }
        return process.memoryUsage().heapUsed;
      };
      const listeners = new AbortController();
      const round = async () => {
        for (let at = 0; at < 500; at++) await peer.send("go");
        await Promise.all(Array.from({ length: 100 }, () => peer.send("go", { signal: listeners.signal })));
      };
      await round();
      // What leaks does so in every round; caches and compiled code grow in some.
      let grown = Number.POSITIVE_INFINITY;
      for (let at = 0; at < 4 && grown > 200_000; at++) {
        const before = await heap();
        await round();
        grown = Math.min(grown, (await heap()) - before);
      }
      const { getEventListeners } = await import("node:events");
      const left = getEventListeners(listeners.signal, "abort").length;
      console.log(JSON.stringify({ grown, tasks: server.taskCount, left }));
      await peer.close();
      await server.close();
    `);
    const { grown, tasks, left } = JSON.parse(stdout);
    expect(tasks).toBe(10);
    expect(left).toBe(0);
    // Of 600 tasks: not half a kilobyte each.
    expect(grown).toBeLessThan(200_000);
  });
});

describe("many tasks at once", () => {
  it("do not disturb each other", async () => {
    const { url } = await served({
      limits: { maxConcurrency: 200 },
      handler: async function* ({ text }) {
        for (const letter of text) {
          yield letter;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      },
    });
    const peer = await connect(url);
    const texts = Array.from({ length: 100 }, (_, at) => `task ${at}`);
    const results = await Promise.all(texts.map((text) => peer.send(text)));
    expect(results.map(({ text }) => text)).toEqual(texts);
    expect(new Set(results.map(({ taskId }) => taskId)).size).toBe(100);
  });
});
