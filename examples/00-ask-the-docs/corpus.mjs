// Which files are read, and in which order. The order is the same on every machine, so that an interrupted run goes on
// where it stopped and the same installation gives the same passages.
import { createHash } from "node:crypto";
import { readdir, readFile, realpath } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} SourceFile
 * @property {string} source path relative to the root, with `/`; what citations show
 * @property {string} title name of the package or of the file: what a passage is about before its first heading
 * @property {string} text
 * @property {string} hash of the text
 *
 * @typedef {object} Corpus
 * @property {SourceFile[]} files
 * @property {string[]} cut files of which only the beginning is read, because of the limits per package and in all
 *
 * @typedef {{ title: string; source: string }} Candidate
 * @typedef {{ candidates: Candidate[]; most: number }} Group a number of characters to take at most
 */

/** The root of the checkout this example is part of. */
export const checkout = path.resolve(fileURLToPath(import.meta.url), "../../..");

/** Characters taken from one package: a few large manuals would otherwise be most of the corpus. */
const PACKAGE_CHARACTERS = 50_000;
/** Characters in all: about 4,000 passages, which two cores embed in a minute or two. */
const TOTAL_CHARACTERS = 2_000_000;
/** Less is a name and a link. */
const LEAST_CHARACTERS = 200;
/** Files opened at the same time. */
const READERS = 16;

const MARKDOWN = /\.(md|mdx|markdown)$/i;
const TEXT = /\.(md|mdx|markdown|txt)$/i;
/** What nobody asks a question about: licences, histories, thanks, rules of conduct. */
const FORMALITY =
  /^(licen[cs]e|copying|notice|third[-_ ]?party|change-?log|changes|history|releases?|code[-_]of[-_]conduct|security|contributors|authors|maintainers|governance|funding|sponsors|backers|pull_request_template|issue_template)\b/i;
/** `README.pt-BR.md`: the default model knows English. */
const TRANSLATION = /^readme[._-](?!en\b)[a-z]{2}([-_][a-z]{2,4})?\.\w+$/i;
const DOCUMENTATION_FOLDER = /^(docs?|documentation|guides?)$/i;
const OTHER_FOLDER = /^(node_modules|target|dist|build|coverage|__tests__|__snapshots__|fixtures)$/;

/**
 * The documentation of a package and of those installed in it. Its own comes first, then that of the packages named in
 * package.json, then that of theirs.
 *
 * @returns {Promise<Corpus>}
 */
export async function installedDocumentation(root = checkout) {
  const manifest = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
  const named = new Set(
    [manifest.dependencies, manifest.devDependencies, manifest.peerDependencies].flatMap((names) =>
      Object.keys(names ?? {}),
    ),
  );
  const packages = [...(await packagesIn(root, "node_modules"))];
  const ordered = [
    ...packages.filter(([name]) => named.has(name)),
    ...packages.filter(([name]) => !named.has(name)),
  ];
  const own = await documentationOf(root, "", manifest.name, ["examples", "bench"]);
  const groups = await Promise.all(ordered.map(([name, folder]) => documentationOf(root, folder, name)));
  const limited = groups.map((candidates) => ({ candidates, most: PACKAGE_CHARACTERS }));
  return readAll(root, [{ candidates: own, most: TOTAL_CHARACTERS }, ...limited], {
    least: LEAST_CHARACTERS,
    total: TOTAL_CHARACTERS,
  });
}

/**
 * Every Markdown and text file below a folder, hidden folders and installed packages aside.
 *
 * @param {string} root
 * @returns {Promise<Corpus>}
 */
export async function folderDocumentation(root) {
  const sources = await walk(root, "", TEXT);
  const candidates = sources.map((source) => ({ source, title: path.posix.parse(source).name }));
  const unlimited = Number.POSITIVE_INFINITY;
  return readAll(root, [{ candidates, most: unlimited }], { least: 1, total: unlimited });
}

/**
 * Packages of a node_modules folder, sorted by name, then those inside them. Of several copies of a package the one
 * nearest to the root is kept: their documentation says the same twice.
 *
 * @returns {Promise<Map<string, string>>} folders by name
 */
async function packagesIn(/** @type {string} */ root, /** @type {string} */ modules) {
  const listed = (await entries(path.join(root, modules))).filter(
    (entry) => !entry.isFile() && !entry.name.startsWith(".") && entry.name !== "@types",
  );
  /** @type {Map<string, string>} */
  const found = new Map();
  /** @type {Map<string, string>[]} */
  const inner = [];
  for (const { name: top } of listed) {
    const scoped = top.startsWith("@") ? await entries(path.join(root, modules, top)) : undefined;
    for (const name of scoped?.map((entry) => `${top}/${entry.name}`) ?? [top]) {
      const folder = await realFolder(root, `${modules}/${name}`);
      found.set(name, folder);
      if (folder === `${modules}/${name}`) inner.push(await packagesIn(root, `${folder}/node_modules`));
    }
  }
  for (const [name, folder] of inner.flatMap((packages) => [...packages])) {
    if (!found.has(name)) found.set(name, folder);
  }
  return found;
}

/** Where a linked package (a workspace, say) really is, as long as that is inside the root. */
async function realFolder(/** @type {string} */ root, /** @type {string} */ folder) {
  const real = path.relative(await realpath(root), await realpath(path.join(root, folder)));
  return real.startsWith("..") || path.isAbsolute(real) ? folder : real.split(path.sep).join("/");
}

/** The Markdown beside package.json, README first, and below the folders that packages keep documentation in. */
async function documentationOf(
  /** @type {string} */ root,
  /** @type {string} */ folder,
  /** @type {string} */ title,
  /** @type {string[]} */ alsoIn = [],
) {
  /** @type {string[]} */
  const sources = [];
  for (const entry of await entries(path.join(root, folder))) {
    const source = path.posix.join(folder, entry.name);
    if (entry.isFile() && isWanted(entry.name, MARKDOWN)) sources.push(source);
    if (entry.isDirectory() && (DOCUMENTATION_FOLDER.test(entry.name) || alsoIn.includes(entry.name))) {
      sources.push(...(await walk(root, source, MARKDOWN)));
    }
  }
  const isReadme = (/** @type {string} */ source) => Number(/^readme\b/i.test(path.posix.basename(source)));
  const depth = (/** @type {string} */ source) => source.split("/").length;
  sources.sort((a, b) => depth(a) - depth(b) || isReadme(b) - isReadme(a) || (a < b ? -1 : 1));
  return sources.map((source) => ({ source, title }));
}

/** @returns {Promise<string[]>} files below a folder whose names match, sorted */
async function walk(/** @type {string} */ root, /** @type {string} */ folder, /** @type {RegExp} */ wanted) {
  /** @type {string[]} */
  const sources = [];
  for (const entry of await entries(path.join(root, folder))) {
    const source = path.posix.join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith(".") && !OTHER_FOLDER.test(entry.name)) {
      sources.push(...(await walk(root, source, wanted)));
    } else if (entry.isFile() && isWanted(entry.name, wanted)) sources.push(source);
  }
  return sources;
}

function isWanted(/** @type {string} */ name, /** @type {RegExp} */ wanted) {
  return wanted.test(name) && !FORMALITY.test(name) && !TRANSLATION.test(name);
}

/** A folder's entries by name; none when it is missing or may not be read. */
async function entries(/** @type {string} */ folder) {
  try {
    const found = await readdir(folder, { withFileTypes: true });
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

/**
 * Reads files until the limits are reached; what is empty, short or said before is left out.
 *
 * @param {string} root
 * @param {Group[]} groups
 * @param {{ least: number; total: number }} limits characters a file must have, and characters in all
 * @returns {Promise<Corpus>}
 */
async function readAll(root, groups, { least, total }) {
  const all = groups.flatMap((group) => group.candidates);
  const texts = await inParallel(all, READERS, ({ source }) => readText(path.join(root, source)));
  /** @type {Corpus} */
  const corpus = { files: [], cut: [] };
  const seen = new Set();
  let at = 0;
  let left = total;
  for (const { candidates, most } of groups) {
    let room = most;
    for (const { source, title } of candidates) {
      const whole = texts[at++] ?? "";
      const text = beginning(whole, Math.min(room, left));
      const hash = createHash("sha256").update(text).digest("hex");
      if (text.length < whole.length) corpus.cut.push(source);
      // Packages of one family often carry the same text.
      if (text.trim().length < least || seen.has(hash)) continue;
      seen.add(hash);
      room -= text.length;
      left -= text.length;
      corpus.files.push({ source, title, text, hash });
    }
  }
  return corpus;
}

/** The text of a file; empty when it cannot be read or is no text. */
async function readText(/** @type {string} */ file) {
  try {
    const text = await readFile(file, "utf8");
    return text.includes("\0") ? "" : text.replaceAll("\r\n", "\n");
  } catch {
    return "";
  }
}

/** Whole lines, at most `most` characters of them. */
function beginning(/** @type {string} */ text, /** @type {number} */ most) {
  return text.length <= most ? text : text.slice(0, Math.max(0, text.lastIndexOf("\n", most)));
}

/**
 * @template T, R
 * @param {readonly T[]} items
 * @param {number} workers
 * @param {(item: T) => Promise<R>} work
 */
async function inParallel(items, workers, work) {
  /** @type {R[]} */
  const results = [];
  const queue = items.entries();
  const one = async () => {
    for (const [at, item] of queue) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: workers }, one));
  return results;
}
