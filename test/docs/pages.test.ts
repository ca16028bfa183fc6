import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { anchorOf, linksOf, page, pages } from "./pages.js";

describe.each(pages)("$file", (given) => {
  it("has lines that fit a screen", () => {
    // Tables of figures are made by a program.
    const text = given.text.replace(/<!-- bench:[\s\S]*?<!-- \/bench -->/g, "");
    expect(text.split("\n").filter((line) => line.length > 120)).toEqual([]);
  });

  it("links to what exists", () => {
    for (const link of linksOf(given)) {
      const [target = "", anchor] = link.split("#");
      expect(existsSync(inRoot(target)), link).toBe(true);
      if (anchor === undefined) continue;
      const headings = [...page(target).text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
      expect(headings.map(anchorOf), link).toContain(anchor);
    }
  });
});

const guides = pages.filter(({ file }) => file.startsWith("docs/guides/"));

it.each(guides)("$file is short", ({ text }) => {
  const shown = text.replace(/^<!--[\s\S]*?-->\n/gm, "").split("\n");
  expect(shown.length - 1).toBeLessThanOrEqual(150);
});
