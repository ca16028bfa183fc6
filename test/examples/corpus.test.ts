import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { folderDocumentation, installedDocumentation } from "../../examples/00-ask-the-docs/corpus.mjs";

const long = (about: string) =>
  `# ${about}\n\n${`Something about ${about} that is worth reading. `.repeat(10)}\n`;

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "rulake-corpus-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(files: Record<string, string>) {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

const sources = (corpus: { files: { source: string }[] }) => corpus.files.map(({ source }) => source);

describe("the documentation of a package and its dependencies", () => {
  it("comes in a fixed order: its own, then packages it names, then theirs", async () => {
    write({
      "package.json": JSON.stringify({ name: "own", devDependencies: { zebra: "1" } }),
      "README.md": long("own"),
      "docs/b.md": long("b"),
      "docs/a.md": long("a"),
      "node_modules/ant/README.md": long("ant"),
      "node_modules/zebra/docs/guide.md": long("zebra guide"),
      "node_modules/zebra/readme.markdown": long("zebra"),
      "node_modules/@scope/bee/README.md": long("bee"),
      "node_modules/ant/node_modules/cicada/README.md": long("cicada"),
    });
    const corpus = await installedDocumentation(root);
    expect(sources(corpus)).toEqual([
      "README.md",
      "docs/a.md",
      "docs/b.md",
      "node_modules/zebra/readme.markdown",
      "node_modules/zebra/docs/guide.md",
      "node_modules/@scope/bee/README.md",
      "node_modules/ant/README.md",
      "node_modules/ant/node_modules/cicada/README.md",
    ]);
    expect(corpus.files.map(({ title }) => title)).toEqual([
      ...["own", "own", "own", "zebra", "zebra"],
      ...["@scope/bee", "ant", "cicada"],
    ]);
  });

  it("leaves out formalities, translations, code, what is short and what was said before", async () => {
    write({
      "package.json": JSON.stringify({ name: "own" }),
      "README.md": long("own"),
      "CHANGELOG.md": long("changes"),
      "LICENSE.md": long("licence"),
      "src/notes.md": long("sources"),
      "docs/node_modules/x/README.md": long("x"),
      "node_modules/a/README.md": long("a"),
      "node_modules/a/README.pt-BR.md": long("traduzido"),
      "node_modules/a/History.md": long("history"),
      "node_modules/a/src/README.md": long("inside"),
      "node_modules/b/README.md": long("a"),
      "node_modules/c/README.md": "# c\n",
      "node_modules/d/node_modules/a/README.md": long("another version of a"),
      "node_modules/@types/e/README.md": long("types of e"),
    });
    expect(sources(await installedDocumentation(root))).toEqual(["README.md", "node_modules/a/README.md"]);
  });

  it("takes the beginning of a package that is too long, in whole lines", async () => {
    const manual = Array.from({ length: 3000 }, (_, at) => `Line ${at} of a manual that does not end.`).join(
      "\n",
    );
    write({
      "package.json": JSON.stringify({ name: "own" }),
      "node_modules/a/README.md": manual,
      "node_modules/a/docs/more.md": long("more"),
    });
    const { files, cut } = await installedDocumentation(root);
    expect(cut).toEqual(["node_modules/a/README.md", "node_modules/a/docs/more.md"]);
    expect(files).toHaveLength(1);
    const { text = "" } = files[0] ?? {};
    expect(text.length).toBeLessThanOrEqual(50_000);
    expect(text.length).toBeGreaterThan(49_000);
    expect(manual.startsWith(`${text}\n`)).toBe(true);
  });
});

describe("the documentation in a folder", () => {
  it("is every Markdown and text file, however short, hidden folders and packages aside", async () => {
    write({
      "b.md": "short",
      "a/CONTRIBUTING.md": "how",
      "a/notes.txt": "notes",
      "a/picture.svg": "<svg/>",
      "a/empty.md": "",
      ".git/x.md": "hidden",
      "node_modules/y/README.md": "package",
      "binary.txt": "a\0b",
    });
    expect(sources(await folderDocumentation(root))).toEqual(["a/CONTRIBUTING.md", "a/notes.txt", "b.md"]);
  });
});
