import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { inRoot } from "../../scripts/paths.mjs";

/** A Markdown file of this repository. */
export interface Page {
  /** Path from the root, with `/`. */
  file: string;
  text: string;
}

const files = [
  "README.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "docs/errors.md",
  ...readdirSync(inRoot("docs/guides"), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => `docs/guides/${entry.name}`)
    .sort(),
];

/** The pages written for users. */
export const pages: Page[] = files.map((file) => ({ file, text: readFileSync(inRoot(file), "utf8") }));

/** A page by its path. */
export function page(file: string): Page {
  return { file, text: readFileSync(inRoot(file), "utf8") };
}

/** Code of a page that runs as one program. */
export interface Program {
  /** The page and the line where it begins. */
  name: string;
  /** TypeScript. Every line has the number it has in the page; lines that are not code are empty. */
  source: string;
  /** What it prints, line by line. */
  output: string[];
}

const BEGIN = /^(?:```|<!-- )ts (run|more)$/;
const OUTPUT = /\/\/ → (.*)$/;

/**
 * The programs in a page. A block marked `ts run` begins one and blocks marked `ts more` go on with it. What readers need
 * not see stands in a comment that begins with `<!-- ts run` or `<!-- ts more`. Comments like `// → 3` say what the
 * program prints.
 */
export function programsIn({ file, text }: Page): Program[] {
  const programs: { at: number; lines: string[] }[] = [];
  let end: string | undefined;
  for (const [at, line] of text.split("\n").entries()) {
    if (end !== undefined) {
      if (line === end) end = undefined;
      else (programs.at(-1)?.lines ?? [])[at] = line;
      continue;
    }
    const mark = BEGIN.exec(line)?.[1];
    if (mark === undefined) continue;
    end = line.startsWith("<") ? "-->" : "```";
    if (mark === "run") programs.push({ at: at + 1, lines: [] });
    else if (programs.length === 0) throw new Error(`${file}:${at + 1}: nothing to go on with`);
  }
  return programs.map(({ at, lines }) => {
    const code = Array.from(lines, (line) => line ?? "");
    return {
      name: `${file}:${at}`,
      source: code.join("\n"),
      output: code.flatMap((line) => OUTPUT.exec(line)?.[1] ?? []),
    };
  });
}

/** Files a page links to, as paths from the root. */
export function linksOf({ file, text }: Page): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) =>
      target.startsWith("#") ? file + target : path.posix.join(path.posix.dirname(file), target),
    );
}

/** What a heading is linked by, as GitHub makes it. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}
