// Reads a lake that another process writes to, until its standard input ends. Each read must show the state after some
// round: none before what was acknowledged when the collection was opened, none that was not begun, none before that
// of the last read. Arguments: the lake, the file of progress, reads for each time the lake is opened.
import { RuLake } from "rulake";
import { BATCHES, DIMENSIONS, idOf, Progress, roundOfBatch, SIZE, vectorOf } from "./rounds.mjs";

const [place = "", file = "", readsPerOpen = "1"] = process.argv.slice(2);
const progress = new Progress(file, "r");
/** @type {string[]} */
const problems = [];
/** @type {Set<number>} */
const seen = new Set();
let reads = 0;
let ended = false;
process.stdin.resume().once("end", () => {
  ended = true;
});

/** The round of each batch, if all its records are of one round. @param {import("rulake").Collection} docs */
async function look(docs) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for await (const { id, text = "", vector, metadata } of docs.scan({
    include: ["vector", "text", "metadata"],
  })) {
    const i = Number(id.split("-")[1]);
    if (JSON.stringify(metadata) !== JSON.stringify({ round: Number(text), i })) {
      problems.push(`record ${id} of round ${text} has the metadata ${JSON.stringify(metadata)}`);
    }
    if (String(vector) !== String(vectorOf(Number(text), i))) {
      problems.push(`record ${id} of round ${text} has another vector`);
    }
    found.set(id, text);
  }
  return Array.from({ length: BATCHES }, (_, batch) => {
    const rounds = new Set(Array.from({ length: SIZE }, (_, i) => found.get(idOf(batch, i))));
    if (rounds.size > 1) problems.push(`batch ${batch} is of the rounds ${[...rounds].join(", ")}`);
    const [round] = rounds;
    return round === undefined ? undefined : Number(round);
  });
}

/** The first round from `least` on, -1 for none, after which the batches are like this. @param {(number | undefined)[]} batches @param {number} least */
function roundOf(batches, least) {
  const begun = progress.begun;
  for (let round = least; round <= begun; round++) {
    if (batches.every((stored, batch) => stored === roundOfBatch(batch, round))) return round;
  }
  return undefined;
}

let newest = -1;
while (!ended && problems.length < 10) {
  const least = Math.max(progress.acknowledged, newest);
  try {
    const lake = await RuLake.open(place, { readOnly: true });
    const docs = await lake.collection("docs");
    newest = least;
    for (let i = 0; i < Number(readsPerOpen); i++) {
      const batches = await look(docs);
      const round = roundOf(batches, newest);
      if (round === undefined) {
        problems.push(`[${batches.join(", ")}] is no state from round ${newest} to ${progress.begun}`);
        break;
      }
      newest = round;
      seen.add(round);
      reads++;
      const hits = await docs.search(new Float32Array(DIMENSIONS).fill(1), { k: 1000 });
      const counted = new Set(hits.map((hit) => hit.text)).size;
      if (hits.length % SIZE !== 0 || counted * SIZE !== hits.length) {
        problems.push(`a search found ${hits.length} records of ${counted} rounds`);
      }
    }
    await lake.close();
  } catch (error) {
    problems.push(String(error));
  }
}
process.stdout.write(`${JSON.stringify({ reads, seen: seen.size, problems })}\n`);
