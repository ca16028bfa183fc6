import { describe, expect, it } from "vitest";
import { pieces } from "../../examples/00-ask-the-docs/markdown.mjs";
import { bodyOf, passagesOf } from "../../examples/00-ask-the-docs/passages.mjs";

const file = (text: string, title = "thing") => ({
  source: "docs/thing.md",
  title,
  text,
  hash: "0".repeat(64),
});

const prose = (about: string) =>
  `${about} is explained here, in a sentence of some length that can be found again. `;

describe("passagesOf", () => {
  it("cuts at headings and keeps the trail of headings and the lines", async () => {
    const text = [
      "# Thing",
      "",
      "## Install",
      "",
      prose("Installing").repeat(5),
      "",
      "## Use",
      "",
      "### From a program",
      "",
      prose("Calling").repeat(5),
    ].join("\n");
    const passages = await passagesOf(file(text));
    expect(passages.map(({ metadata }) => metadata)).toMatchObject([
      { part: 0, parts: 2, from: 1, to: 5, headings: ["thing"] },
      { part: 1, parts: 2, from: 7, to: 11, headings: ["thing", "Use"] },
    ]);
    for (const passage of passages) {
      const { from, to } = passage.metadata;
      expect(
        text
          .split("\n")
          .slice(from - 1, to)
          .join("\n")
          .trim(),
      ).toBe(bodyOf(passage));
    }
    expect(passages[1]?.pageContent.startsWith("thing › Use\n\n")).toBe(true);
  });

  it("reads past badges, comments and layout, and counts their lines", async () => {
    const text = [
      "<!-- a comment",
      "of two lines -->",
      '<p align="center"><img src="logo.svg"></p>',
      "[![build](https://ci/badge.svg)](https://ci)",
      "",
      `${prose("The thing")}[Read on](https://example.org/a_(b)).`,
      "[link]: https://example.org",
    ].join("\n");
    const [passage, ...others] = await passagesOf(file(text));
    expect(others).toEqual([]);
    expect(passage?.metadata).toMatchObject({ from: 6, to: 6, headings: ["thing"] });
    expect(passage && bodyOf(passage)).toBe(`${prose("The thing")}Read on.`);
  });

  it("does not take comments in code for headings, and closes what it cuts", async () => {
    const code = Array.from(
      { length: 30 },
      (_, at) => `# step ${at}\nrun --step ${at} --verbose --and --so --on`,
    );
    const text = `# Thing\n\n${prose("A script")}\n\n\`\`\`sh\n${code.join("\n")}\n\`\`\`\n\n## After\n\n${prose("Afterwards")}`;
    const passages = await passagesOf(file(text));
    expect(passages.length).toBeGreaterThan(3);
    for (const passage of passages) {
      const { headings } = passage.metadata;
      expect(headings.join()).not.toContain("step");
      expect((bodyOf(passage).match(/^```/gm) ?? []).length % 2).toBe(0);
    }
    expect(passages.at(-1)?.metadata.headings).toEqual(["thing", "After"]);
    expect(passages.at(-1)?.pageContent).toContain("Afterwards");
  });

  it("has ids that stay the same and belong to the place", async () => {
    const text = Array.from({ length: 3 }, (_, at) => `## Part ${at}\n\n${prose("It").repeat(6)}`).join(
      "\n\n",
    );
    const [one, two] = [await passagesOf(file(text)), await passagesOf(file(text))];
    const ids = one.map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    expect(two.map(({ id }) => id)).toEqual(ids);
    const elsewhere = await passagesOf({ ...file(text), source: "other.md" });
    expect(elsewhere.some(({ id }) => ids.includes(id))).toBe(false);
  });

  it("finds nothing in a file without words", async () => {
    expect(await passagesOf(file("# Thing\n\n---\n\n12345\n"))).toEqual([]);
  });
});

describe("pieces", () => {
  it("tells sentences, list items, table rows and code apart", () => {
    const found = pieces(
      [
        "## Use",
        "",
        "Call **it** with `one` [argument](https://example.org). It returns",
        "a promise.",
        "",
        "- first item",
        "- second item:",
        "",
        "  ```js",
        "  call(1);",
        "  ```",
        "",
        "| option | type | meaning |",
        "|---|---|---|",
        "| `depth` | number | how many levels to go down at most |",
      ].join("\n"),
    );
    expect(found.map(({ text, isCode }) => (isCode ? { code: text } : text))).toEqual([
      "Call it with one argument.",
      "It returns a promise.",
      "first item",
      "second item:",
      { code: "call(1);" },
      "depth: how many levels to go down at most",
    ]);
    expect(new Set(found.map(({ heading }) => heading))).toEqual(new Set(["Use"]));
    expect(found[0]?.paragraph).toBe(found[1]?.paragraph);
    expect(found[2]?.paragraph).not.toBe(found[3]?.paragraph);
  });
});
