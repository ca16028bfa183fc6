import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { anchorOf, linksOf, page, pages } from "./pages.js";

describe.each(pages)("$file", (given) => {
  const { file, text } = given;
  const lines = text.split("\n");

  it("has lines that fit a screen", () => {
    const long = lines.flatMap((line, at) => (line.length > 120 ? [`${file}:${at + 1}`] : []));
    expect(long).toEqual([]);
  });

  it.runIf(file.startsWith("docs/guides/"))("is short", () => {
    const shown = text.replace(/^<!--[\s\S]*?-->\n/gm, "").split("\n");
    expect(shown.length - 1).toBeLessThanOrEqual(150);
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
