// Walks over a collection, and prints, as JSON, how many rows it saw and how much memory it held. Arguments: the lake, what
// to walk with: scan or scanBatches. Needs --expose-gc.
import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { RuLake } from "rulake";

const [place = "", method = "scan"] = process.argv.slice(2);
const everything = { include: /** @type {const} */ (["vector", "text", "metadata"]) };

/** Bytes of memory that is the process's own: pages of mapped files are not. */
function memory() {
  const line = readFileSync("/proc/self/status", "utf8").match(/^RssAnon:\s+(\d+) kB/m);
  return Number(line?.[1]) * 1024;
}

/** The same without what V8 keeps in reserve for objects to come, which depends on how many came. */
async function live() {
  globalThis.gc?.();
  await turn();
  globalThis.gc?.();
  const { heapTotal, heapUsed } = process.memoryUsage();
  return memory() - heapTotal + heapUsed;
}

const lake = await RuLake.open(place, { readOnly: true });
const docs = await lake.collection("docs");
const walk = method === "scan" ? docs.scan(everything) : docs.scanBatches(everything);
let rows = 0;
let next = 20_000;
/** After the first rows: code is compiled by then, and threads have their stacks. */
let baseline = 0;
let most = 0;
/** Garbage and reserve included. */
let mostWithGarbage = 0;
for await (const item of walk) {
  rows += "numRows" in item && typeof item.numRows === "number" ? item.numRows : 1;
  if (rows < next) continue;
  next += 20_000;
  mostWithGarbage = Math.max(mostWithGarbage, memory());
  const now = await live();
  if (baseline === 0) baseline = now;
  most = Math.max(most, now);
}
console.log(JSON.stringify({ rows, held: most - baseline, most: mostWithGarbage }));
await lake.close();
