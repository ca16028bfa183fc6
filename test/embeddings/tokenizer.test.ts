import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { TextTokenizer } from "../../src/embeddings/tokenizer.js";
import { passages } from "./passages.js";
import { tokenizerJson } from "./tiny-model.js";

const read = (file: string) =>
  JSON.parse(readFileSync(new URL(`../../models/minilm/${file}`, import.meta.url), "utf8")) as object;
const files = [read("tokenizer.json"), read("tokenizer_config.json")] as const;
const tokenizer = new TextTokenizer(...files);
const reference = new Tokenizer(...files);
const content = (text: string): number[] => reference.encode(text, { add_special_tokens: false }).ids;
const all = (text: string) => [...tokenizer.pieces(text)].flat();

const TEXTS = {
  words: passages(1, 40_000)[0] as string,
  "runs of white space": "word \n\n\t  other     ".repeat(20_000),
  "no white space": "漢字かな".repeat(30_000),
  "one endless word": "a".repeat(200_000),
  "surrogate pairs": "👩‍👩‍👧".repeat(20_000),
  "white space only": " \n".repeat(50_000),
  "long words": `${"x".repeat(150)} `.repeat(2000),
};

describe.each(Object.entries(TEXTS))("a long text of %s", (_, text) => {
  it("has the same head as the whole", () => {
    for (const count of [1, 7, 254, 255])
      expect(tokenizer.head(text, count)).toEqual(content(text).slice(0, count));
  });
});

it("gives the same tokens in pieces, where there is white space to cut at", () => {
  for (const name of [
    "words",
    "runs of white space",
    "no white space",
    "white space only",
    "long words",
  ] as const) {
    expect(all(TEXTS[name]).length, name).toBe(content(TEXTS[name]).length);
    expect(all(TEXTS[name]), name).toEqual(content(TEXTS[name]));
  }
  expect(all("")).toEqual([]);
});

it("applies neither truncation nor padding of the file", () => {
  expect(files[0]).toMatchObject({ truncation: { max_length: 128 }, padding: { strategy: { Fixed: 128 } } });
  expect(tokenizer.wrap(tokenizer.head("hello world", 254))).toEqual([101, 7592, 2088, 102]);
  expect(tokenizer.head(TEXTS.words, 1000)).toHaveLength(1000);
});

it("knows the special tokens, or that there are none", () => {
  expect(tokenizer.overhead).toBe(2);
  expect(tokenizer.wrap([])).toEqual([101, 102]);
  const bare = new TextTokenizer(tokenizerJson(), {});
  expect(bare.overhead).toBe(0);
  expect(bare.wrap(bare.head("One two", 9))).toEqual([1, 2]);
});

it("reads lone surrogates as U+FFFD", () => {
  for (const broken of ["a \ud83d b", "a \udc69 b", "\udc69\ud83d"]) {
    expect(tokenizer.head(broken, 9)).toEqual(content(broken.replace(/[\ud800-\udfff]/g, "\ufffd")));
  }
});
