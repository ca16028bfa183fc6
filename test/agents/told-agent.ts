import type { A2AEvent, A2APeer } from "rulake/agents";
import { expect } from "vitest";
import type { Wire } from "./wire.js";

async function texts(events: AsyncIterable<A2AEvent>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) if (event.type === "artifact") seen.push(event.text ?? "");
  return seen;
}

/**
 * What every agent must be able to do that does what it is told: `count <n>`, `ask`, `echo`, `sleep`, and anything else
 * is painted.
 *
 * @param wire - what the agent is reached through
 */
export async function exercise(peer: A2APeer, wire: Wire, { storesTwice = false } = {}): Promise<void> {
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
  const stored = (await peer.get(counting)).artifacts[0]?.text ?? "";
  expect(whole).toBe(stored);
  const numbers = stored.trim().split(/\s+/);
  expect(storesTwice ? [...new Set(numbers)] : numbers).toEqual([...Array(12).keys()].map(String));
  expect(cuts).toBe(1);
}
