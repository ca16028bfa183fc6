// Writes rounds until its standard input ends, with checkpoints beside them. Arguments: the lake, the file of progress.
import { RuLake } from "rulake";
import { BATCHES, DIMENSIONS, deletes, idOf, Progress, SIZE, vectorOf } from "./rounds.mjs";

const [place = "", file = ""] = process.argv.slice(2);
const progress = new Progress(file, "w");
const lake = await RuLake.open(place);
const docs = await lake.collection("docs", { dimensions: DIMENSIONS });
process.stdout.write("ready\n");

let ended = false;
process.stdin.resume().once("end", () => {
  ended = true;
});

/** @type {Promise<void>} */
let checkpoint = Promise.resolve();
let round = 0;
for (; !ended; round++) {
  const batch = round % BATCHES;
  const ids = Array.from({ length: SIZE }, (_, i) => idOf(batch, i));
  progress.begun = round;
  if (deletes(round)) await docs.delete({ ids });
  else {
    await docs.upsert(
      ids.map((id, i) => ({ id, vector: vectorOf(round, i), text: `${round}`, metadata: { round, i } })),
    );
  }
  progress.acknowledged = round;
  // Also while later rounds are written.
  if (round % 40 === 39) checkpoint = checkpoint.then(() => docs.compact());
}
await checkpoint;
const { ok, problems } = await docs.verify();
await lake.close();
process.stdout.write(`${JSON.stringify({ rounds: round, ok, problems })}\n`);
