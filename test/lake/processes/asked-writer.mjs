// Writes a record for each line of its standard input, whose id is the line. At the end it prints, as JSON, what became of
// each: "ok" or the code of the error. Argument: the lake.
import { createInterface } from "node:readline";
import { RuLake } from "rulake";

const lake = await RuLake.open(process.argv[2] ?? "");
const docs = await lake.collection("docs");
console.log("ready");
/** @type {Record<string, string>} */
const outcome = {};
for await (const id of createInterface(process.stdin)) {
  try {
    await docs.upsert([{ id, vector: [1, 2] }]);
    outcome[id] = "ok";
  } catch (error) {
    outcome[id] = /** @type {{ code: string }} */ (error).code;
  }
  console.log("next");
}
const readable = docs.size;
await lake.close();
console.log(JSON.stringify({ outcome, readable }));
