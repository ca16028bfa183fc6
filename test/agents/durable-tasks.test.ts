import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { RuLake } from "rulake";
import { type A2AEvent, type AgentHandler, serveAsA2A } from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { scratchDirectory } from "../lake/scratch.js";
import { failure } from "./hostile-server.js";
import { connect, painter, served } from "./served-agent.js";

const scratch = scratchDirectory();
const card = { name: "Tester", description: "Answers tests" };

/** Serves again at the same port, until the test is done. */
async function servedAgain(
  url: string,
  options: { handler: AgentHandler; tasks: string; auth?: { bearer: string[] } },
) {
  const server = await serveAsA2A({ card, ...options });
  onTestFinished(() => server.close());
  await server.listen(Number(new URL(url).port));
  return server;
}

describe("tasks in a lake", () => {
  it("are there after the server has been closed and started again, and go on", async () => {
    const tasks = `${scratch()}/tasks`;
    const bytes = new Uint8Array([0, 255, 10, 13]);
    const handler: AgentHandler = async function* (request) {
      if (request.text !== "file") return yield* painter(request) as AsyncIterable<string>;
      yield { artifactId: "file", parts: [{ file: { name: "a.bin", bytes } }, { data: { a: [1, "ü"] } }] };
    };
    const first = await served({ handler, tasks });
    const peer = await connect(first.url);
    const finished = await peer.send("file");
    const asked = await peer.send("a house");
    expect(asked.state).toBe("input-required");
    await first.server.close();

    const second = await servedAgain(first.url, { handler, tasks });
    expect(second.taskCount).toBe(2);
    const again = await connect(first.url);
    const kept = await again.get(finished.taskId);
    expect(kept).toEqual({ ...finished, text: kept.text });
    expect(kept.artifacts[0]?.parts).toEqual([
      { file: expect.objectContaining({ name: "a.bin", bytes }) },
      { data: { a: [1, "ü"] } },
    ]);
    expect((await again.list()).tasks.map((task) => task.taskId)).toEqual([asked.taskId, finished.taskId]);
    const { taskId, contextId } = asked;
    expect((await again.send("blue", { taskId, contextId })).text).toBe("how large?");
    await second.close();

    const third = await servedAgain(first.url, { handler, tasks });
    const last = await connect(first.url);
    const painted = await last.send("huge", { taskId, contextId });
    expect([painted.state, painted.text]).toEqual(["completed", "painted a house blue and huge"]);
    await third.close();
  });

  it("are forgotten there, too, and belong to their caller", async () => {
    const path = scratch();
    const options = {
      tasks: `${path}/tasks`,
      auth: { bearer: ["token-a", "token-b"] },
      limits: { keptTasks: 3 },
    };
    const first = await served({ handler: () => "x", ...options });
    const a = await connect(first.url, { auth: { bearer: "token-a" } });
    const ids: string[] = [];
    for (let at = 0; at < 10; at++) ids.push((await a.send("go")).taskId);
    await first.server.close();
    const lake = await RuLake.open(path);
    expect(await (await lake.collection("tasks")).count()).toBe(3);
    await lake.close();

    await servedAgain(first.url, { handler: () => "x", ...options });
    const [owner, other] = [
      await connect(first.url, { auth: { bearer: "token-a" } }),
      await connect(first.url, { auth: { bearer: "token-b" } }),
    ];
    expect((await owner.list()).tasks.map((task) => task.taskId)).toEqual(ids.slice(-3).reverse());
    expect((await other.list()).tasks).toEqual([]);
    expect((await failure(other.get(ids[9] ?? ""))).code).toBe("TASK_NOT_FOUND");
  });

  it("have one server at a time, which says so", async () => {
    const tasks = `${scratch()}/tasks`;
    await served({ handler: () => "x", tasks });
    const other = await serveAsA2A({ card, handler: () => "x", tasks });
    expect((await failure(other.listen())).code).toBe("LAKE_LOCKED");
    await expect(serveAsA2A({ card, handler: () => "x", tasks: 5 as never })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
  });
});

const program = `
  import { serveAsA2A } from "rulake/agents";
  const [path, port] = process.argv.slice(1);
  const server = await serveAsA2A({
    card: { name: "A", description: "B" },
    tasks: path,
    async *handler({ text, history }) {
      if (history.some((turn) => turn.text === "ask")) return yield "painted " + text;
      if (text === "ask") return yield { inputRequired: "which colour?" };
      for (let at = 0; text === "count"; at++) {
        yield at + " ";
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      yield "done";
    },
  });
  console.log((await server.listen(Number(port))).url);
`;

/** A server in a process of its own. */
async function startProcess(path: string, port: number): Promise<{ child: ChildProcess; url: string }> {
  const args = ["--input-type=module", "--eval", program, path, String(port)];
  const child = spawn(process.execPath, args, { cwd: inRoot("."), stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  for await (const url of createInterface(child.stdout)) return { child, url };
  throw new Error("the server did not start");
}

describe("a server that is killed", () => {
  it("has, once it is started again, every task whose state its callers had heard of", async () => {
    const tasks = `${scratch()}/tasks`;
    const { child, url } = await startProcess(tasks, 0);
    const peer = await connect(url);
    const done = await Promise.all(Array.from({ length: 20 }, () => peer.send("go")));
    const asked = await peer.send("ask");

    const counted: string[] = [];
    const states: (string | undefined)[] = [];
    let running = "";
    let setRestarted = () => {};
    const restarted = new Promise<void>((resolve) => {
      setRestarted = resolve;
    });
    const follow = async (events: AsyncIterable<A2AEvent>) => {
      for await (const event of events) {
        running = event.taskId;
        states.push(event.state);
        if (event.type === "artifact") counted.push(event.text ?? "");
      }
    };
    // On a busy machine the next server may take longer to start than a stream waits for it.
    const following = follow(peer.stream("count")).catch(async (error) => {
      expect(error.code).toBe("STREAM_INTERRUPTED");
      await restarted;
      await follow(peer.resume(running));
    });
    // Longer than pieces of an answer wait to be written.
    await expect.poll(() => counted.length, { timeout: 20_000 }).toBeGreaterThan(30);
    child.kill("SIGKILL");
    await once(child, "exit");
    await startProcess(tasks, Number(new URL(url).port));
    setRestarted();

    // The stream of before goes on with what has become of its task.
    await following;
    expect(states.at(-1)).toBe("failed");
    const kept = await peer.get(running);
    expect(kept).toMatchObject({ state: "failed" });
    expect(kept.artifacts[0]?.text).toMatch(/^0 1 2 3 4 /);
    for (const { taskId } of done) {
      expect(await peer.get(taskId)).toMatchObject({ state: "completed", text: "done" });
    }
    const { taskId, contextId } = asked;
    expect(await peer.send("blue", { taskId, contextId })).toMatchObject({
      state: "completed",
      text: "painted blue",
    });
  });
});
