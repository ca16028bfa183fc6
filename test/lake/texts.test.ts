import { describe, expect, it } from "vitest";
import { memoryCollection } from "./scratch.js";

/** Characters of one to four bytes, and halves of surrogate pairs, which have no UTF-8 form. */
const characters = ["a", "\0", '"', "ü", "€", "\u2028", "😀", "\ud83d", "\ude00"];

/** `length` characters; another mixture for every `seed`. */
function mixture(seed: number, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += characters[(seed * 7 + i * (1 + (seed % 5))) % characters.length];
  return text;
}

/** What storing a text as UTF-8 makes of it. */
function stored(text: string): string {
  return Buffer.from(text).toString();
}

describe("texts of records", () => {
  it.each([
    ["none or short", (i: number) => (i % 3 === 0 ? undefined : mixture(i, i % 40))],
    ["empty between others", (i: number) => (i % 2 === 0 ? "" : mixture(i, 5))],
    ["long between short", (i: number) => mixture(i, i % 97 === 0 ? 60_000 : i % 11)],
    ["three bytes a character", (i: number) => "€".repeat(i * 3)],
  ])("come back as they were, %s", async (_, text) => {
    const docs = await memoryCollection();
    const records = Array.from({ length: 700 }, (_, i) => ({
      id: `${i % 3 === 0 ? "ü😀" : ""}${i}`,
      ...(i % 4 === 0 ? {} : { vector: [1, i, 2] }),
      ...(text(i) === undefined ? {} : { text: text(i) as string }),
      ...(i % 5 === 0 ? {} : { metadata: { i, text: mixture(i, 9) } }),
    }));
    const { ids } = await docs.upsert(records);
    const found = await docs.get(ids, { include: ["text", "metadata"] });
    const expected = records.map(({ id, text, metadata }) => ({
      id,
      ...(text === undefined ? {} : { text: stored(text) }),
      ...(metadata === undefined ? {} : { metadata }),
    }));
    expect(found).toEqual(expected);
  });
});
