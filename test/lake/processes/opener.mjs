// Opens, uses and closes a lake and a bundle again and again, and prints what the process holds after a fifth of the times
// and at the end. Arguments: the lake, the directory of a bundle, how many times. Needs --expose-gc.
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RuLake } from "rulake";

const [place = "", bundle = "", times = "1"] = process.argv.slice(2);
const rounds = Number(times);

async function holdings() {
  // What is closed is let go on other threads, and by the garbage collector.
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await sleep(20);
  }
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    resident: process.memoryUsage.rss(),
  };
}

/** @param {number} i */
async function use(i) {
  const lake = await RuLake.open(place);
  const docs = await lake.collection("docs");
  await docs.upsert([{ id: `${i % 50}`, vector: [i, 1], text: "x".repeat(100), metadata: { i } }]);
  await docs.search([1, 1], { k: 3, filter: { i: { $gte: 0 } } });
  for await (const _ of docs.scan()) break;
  if (i % 100 === 0) await docs.compact();
  const reader = await RuLake.open(place, { readOnly: true });
  await (await reader.collection("docs")).get(["1"]);
  await reader.close();
  await lake.close();
  if (i % 10 === 0) {
    const copy = await RuLake.openBundle(bundle);
    await copy.search([1, 1]);
    await copy.close();
  }
}

const first = await RuLake.open(place);
const docs = await first.collection("docs");
await docs.upsert(Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, vector: [i, 1] })));
await docs.publishBundle(bundle);
await first.close();
let early;
for (let i = 1; i <= rounds; i++) {
  await use(i);
  if (i === Math.ceil(rounds / 5)) early = await holdings();
}
process.stdout.write(`${JSON.stringify({ early, late: await holdings() })}\n`);
