import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { page } from "./pages.js";

/** Literals that look like codes and are none. */
const NOT_CODES = {
  "names of files, formats, curves and units": [
    "LOCK",
    "OKP",
    "RBQINDEX",
    "RLBK",
    "TEXT",
    "ONNX",
    "MB",
    "GB",
    "TB",
  ],
  "environment variables": ["RULAKE_SIMD", "COMPUTERNAME", "HOSTNAME"],
  "codes of Node.js": ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND", "ERR_STREAM_PREMATURE_CLOSE"],
  "codes of jose": ["ERR_JWKS_NO_MATCHING_KEY", "ERR_JWKS_MULTIPLE_MATCHING_KEYS"],
  "codes of the operating system": [
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "EHOSTDOWN",
    "ENETDOWN",
    "EADDRNOTAVAIL",
    "ETIMEDOUT",
    "ENOTFOUND",
    "EAI_AGAIN",
    "EEXIST",
    "ENOENT",
  ],
  "methods of HTTP": ["GET", "HEAD", "POST", "DELETE"],
  "bindings of A2A": ["JSONRPC", "GRPC"],
  "types of keys and signatures": ["EC", "RSA", "ES256", "ES384", "RS256", "PS256", "JOSE", "JWT"],
  "a mode of LlamaIndex": ["NONE"],
  "codes of warnings": ["RULAKE_EMBED_MODEL", "RULAKE_PROGRESS"],
};
const notCodes: readonly string[] = Object.values(NOT_CODES).flat();

function filesBelow(folder: string, wanted: RegExp): string[] {
  return readdirSync(inRoot(folder), { recursive: true, encoding: "utf8" })
    .map((name) => path.posix.join(folder, name.split(path.sep).join("/")))
    .filter((name) => wanted.test(name) && !/\/tests(\/|\.rs$)/.test(name));
}

const typescript = filesBelow("src", /\.ts$/);
const rust = ["native/src", "native/crates/rabitq/src", "native/crates/rulake/src", "native/crates/simd/src"]
  .flatMap((folder) => filesBelow(folder, /\.rs$/))
  .map((file) => readFileSync(inRoot(file), "utf8").split("#[cfg(test)]\nmod ")[0] ?? "");

const literals = new Set(
  [...typescript.map((file) => readFileSync(inRoot(file), "utf8")), ...rust].flatMap((text) =>
    [...text.matchAll(/"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"/g)].map(([, literal = ""]) => literal),
  ),
);
const codes = [...literals].filter((literal) => literal.length > 1 && !notCodes.includes(literal)).sort();

interface Entry {
  families: string[];
  categories: string[];
}

/** `### CODE`, then `*FamilyError, OtherError · category*`. */
function entries(): Map<string, Entry> {
  const found = new Map<string, Entry>();
  const sections = page("docs/errors.md").text.matchAll(
    /^### (\S+)\n\n\*([A-Za-z0-9, ]+) · ([a-z, ]+)\*\n\n\S/gm,
  );
  for (const [, code = "", families = "", categories = ""] of sections) {
    expect(found.has(code), `${code} twice`).toBe(false);
    found.set(code, { families: families.split(", "), categories: categories.split(", ") });
  }
  return found;
}

interface Thrown {
  code: string;
  family: string;
  category: string;
}

/** Errors made with `new …Error(message, { code, category })`, as far as these are written out. */
function thrownIn(file: string): Thrown[] {
  const source = ts.createSourceFile(file, readFileSync(inRoot(file), "utf8"), ts.ScriptTarget.Latest, true);
  const thrown: Thrown[] = [];
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    if (!ts.isNewExpression(node) || !/^\w+Error$/.test(node.expression.getText())) return;
    const init = node.arguments?.[1];
    if (init === undefined || !ts.isObjectLiteralExpression(init)) return;
    const property = (name: string) =>
      init.properties.find((each) => each.name?.getText() === name)?.getText() ?? "";
    const strings = (text: string) => [...text.matchAll(/"(\w+)"/g)].map(([, value = ""]) => value);
    const given = property("category");
    const categories = given === "" ? ["permanent"] : strings(given);
    strings(property("code")).forEach((code, at) => {
      // Codes and categories that are chosen together stand in the same order.
      const own =
        strings(property("code")).length === categories.length ? [categories[at] ?? ""] : categories;
      for (const category of own) thrown.push({ code, family: node.expression.getText(), category });
    });
  };
  visit(source);
  return thrown;
}

describe("docs/errors.md", () => {
  const documented = entries();

  it("has every code of the sources and no other", () => {
    expect(codes.length).toBeGreaterThan(50);
    expect([...documented.keys()].sort()).toEqual(codes);
  });

  it("has a well-formed entry under every heading", () => {
    const headings = [...page("docs/errors.md").text.matchAll(/^### (.*)$/gm)].map(([, code]) => code);
    expect(headings).toEqual([...documented.keys()]);
  });

  it("names the family and category that the TypeScript sources give", () => {
    const thrown = typescript.flatMap(thrownIn);
    expect(thrown.length).toBeGreaterThan(50);
    for (const { code, family, category } of thrown) {
      const entry = documented.get(code);
      expect(entry?.families, `${code} is thrown as ${family}`).toContain(family);
      expect(entry?.categories, `${code} is ${category}`).toContain(category);
    }
  });

  it("names the category that the lake gives", () => {
    const source = readFileSync(inRoot("native/crates/rulake/src/error.rs"), "utf8");
    const codeOf = new Map(
      [...source.matchAll(/Self::(\w+)[^=\n]*=> "(\w+)"/g)].map(([, name, code = ""]) => [name, code]),
    );
    const special = [...source.matchAll(/Self::(\w+)[^=]*=> \{?\s*Category::(\w+)/g)];
    expect(special.length).toBeGreaterThan(1);
    for (const [, name, category = ""] of special) {
      const entry = documented.get(codeOf.get(name) ?? "IO");
      expect(entry?.categories, name).toContain(category.toLowerCase());
    }
  });

  it("goes without exceptions that are none", () => {
    expect(notCodes.filter((literal) => !literals.has(literal))).toEqual([]);
  });

  it("has every environment variable that the package reads", () => {
    const text = page("docs/errors.md").text;
    const read = new Set(
      [...typescript.map((file) => readFileSync(inRoot(file), "utf8")), ...rust].flatMap(
        (source) => source.match(/\bRULAKE_[A-Z_]+\b/g) ?? [],
      ),
    );
    for (const name of read) expect(text).toContain(name);
  });
});
