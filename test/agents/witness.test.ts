import { appendFileSync, mkdirSync } from "node:fs";
import { RuLake } from "rulake";
import { findWitness, resolveWitness, witnessData } from "rulake/agents";
import { expect, it } from "vitest";
import { noise, scratchDirectory } from "../lake/scratch.js";
import { connect, served } from "./served-agent.js";

const scratch = scratchDirectory();
const dimensions = 16;

async function published(count: number) {
  const lake = await RuLake.open({ memory: true });
  const docs = await lake.collection("docs");
  const vectors = noise(count * dimensions);
  await docs.upsert(
    Array.from({ length: count }, (_, at) => ({
      id: `${at}`,
      vector: vectors.subarray(at * dimensions, (at + 1) * dimensions),
      text: `text ${at}`,
    })),
  );
  const folder = `${scratch()}/bundle`;
  mkdirSync(folder, { recursive: true });
  const bundle = await docs.publishBundle(folder);
  await lake.close();
  return { bundle, folder, query: vectors.slice(0, dimensions) };
}

it("hands 20,000 vectors over in less than 2 KiB, and the peer finds what they hold", async () => {
  const { bundle, folder, query } = await published(20_000);
  const sizes: number[] = [];
  const { url } = await served(async ({ parts, data }) => {
    sizes.push(JSON.stringify(data).length);
    const handoff = findWitness(parts);
    if (handoff === undefined) return { reject: "no witness" };
    try {
      const docs = await resolveWitness(handoff, { bundles: [`${folder}-elsewhere`, folder] });
      const [hit] = await docs.search(query, { k: 1 });
      const { size } = docs;
      await docs.close();
      return `${size} ${hit?.id}`;
    } catch (error) {
      return { reject: String((error as { code?: string }).code) };
    }
  });
  const peer = await connect(url);
  const ask = async (data: Record<string, unknown>) => peer.send({ text: "what is in it?", data });
  const data = witnessData(bundle);
  expect(await ask(data)).toMatchObject({ state: "completed", text: "20000 0" });
  expect(Math.max(...sizes)).toBeLessThan(2_048);
  // The other spelling of the kind.
  expect(await ask({ ...data, kind: "rulake_witness" })).toMatchObject({ state: "completed" });
  // A reference that points somewhere is only a name.
  expect(await ask({ ...data, data_ref: "/etc" })).toMatchObject({ state: "completed" });

  const other = { ...data, witness: "0".repeat(64) };
  expect(await ask(other)).toMatchObject({ state: "rejected", text: "WITNESS_UNKNOWN" });
  expect(await ask({ ...data, witness: "../../etc" })).toMatchObject({
    state: "rejected",
    text: "no witness",
  });
  appendFileSync(`${folder}/${bundle.files?.find(({ role }) => role === "vectors")?.name}`, "x");
  expect(await ask(data)).toMatchObject({ state: "rejected", text: "CORRUPT_FILE" });
});

it("is refused for what no witness covers, and for names that are too long", async () => {
  const { bundle } = await published(10);
  expect(() => witnessData({ ...bundle, files: undefined })).toThrow(
    expect.objectContaining({ code: "WITNESS_UNUSABLE" }),
  );
  expect(() => witnessData({ ...bundle, dataRef: "x".repeat(3_000) })).toThrow(
    expect.objectContaining({ code: "WITNESS_UNUSABLE" }),
  );
});

it("asks a function where the bundle is", async () => {
  const { bundle, folder } = await published(10);
  const handoff = findWitness([{ data: witnessData(bundle) }]);
  if (handoff === undefined) throw new Error("there is one");
  const docs = await resolveWitness(handoff, {
    bundles: ({ witness }) => (witness === bundle.witness ? folder : undefined),
  });
  expect(docs.size).toBe(10);
  await docs.close();
  await expect(resolveWitness(handoff, { bundles: () => undefined })).rejects.toMatchObject({
    code: "WITNESS_UNKNOWN",
  });
});
