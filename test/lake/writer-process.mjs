// Writes to a lake for ever and prints what was acknowledged, one line a write: the text that its records now have.
// Arguments: the lake, the first round, and "open" to only hold the lake.
import { RuLake } from "rulake";

const [place = "", from, mode] = process.argv.slice(2);
const lake = await RuLake.open(place);
const docs = await lake.collection("docs", { dimensions: 8 });
const ledger = await lake.collection("ledger");
process.stdout.write("ready\n");
if (mode === "open") setInterval(() => {}, 1000);

const vector = (/** @type {number} */ round, /** @type {number} */ i) =>
  Float32Array.from({ length: 8 }, (_, d) => Math.sin(round * 31 + i * 7 + d) + 0.01);

/**
 * Gives each of the 20 records of one of five batches the round as text; every ninth round deletes them. Every fourth
 * round is a session that notes the round in another collection, too.
 *
 * @param {number} round
 */
async function write(round) {
  const batch = round % 5;
  const ids = Array.from({ length: 20 }, (_, i) => `${batch}-${i}`);
  const deletes = round % 9 === 8;
  const session = round % 4 === 1;
  const records = ids.map((id, i) => ({
    id,
    vector: vector(round, i),
    text: String(round),
    metadata: { round },
  }));
  if (session) {
    await lake.session(async (s) => {
      if (deletes) await s.collection("docs").delete({ ids });
      else await s.collection("docs").upsert(records);
      await s.collection("ledger").upsert([{ id: String(batch), text: String(round) }]);
    });
  } else if (deletes) await docs.delete({ ids });
  else await docs.upsert(records);
  process.stdout.write(`${batch} ${deletes ? "gone" : round} ${session ? round : "-"}\n`);
}

if (mode !== "open") {
  for (let round = Number(from); ; round++) {
    // Now and then a flush and a merge beside the writes.
    if (round % 7 === 3) void docs.compact();
    if (round % 11 === 5) void ledger.compact();
    await write(round);
  }
}
