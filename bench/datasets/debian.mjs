import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";

/** @typedef {{ package: string; version: string; folder: string }} Unpacked */

const KINDS = ["html", "htm", "xhtml", "txt", "rst", "md"];

/**
 * Downloads Debian packages with `apt-get download`, which needs no rights and installs nothing, and unpacks their
 * texts. A package that the configured archive lacks is reported and left out; one that is there is not fetched again.
 *
 * @param {readonly string[]} names
 * @param {string} folder
 * @returns {Generator<Unpacked>} its folder is gone when the next is asked for
 */
export function* unpackDebianTexts(names, folder) {
  mkdirSync(folder, { recursive: true });
  if (run("apt-get", ["--version"], folder).status !== 0) {
    throw new Error("The sentences are taken from Debian packages, and there is no apt-get here.");
  }
  run("apt-get", ["update"], folder);
  for (const name of names) {
    const archive = archiveOf(name, folder) ?? download(name, folder);
    if (archive === undefined) {
      console.log(`${name}: left out, it cannot be downloaded`);
      continue;
    }
    const target = path.join(folder, name);
    const patterns = KINDS.flatMap((kind) => [`'*.${kind}'`, `'*.${kind}.gz'`]).join(" ");
    mkdirSync(target, { recursive: true });
    // Status 2 of tar: a pattern that matches nothing.
    run(
      "sh",
      ["-c", `dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --wildcards ${patterns}`, archive, target],
      folder,
    );
    yield { package: name, version: path.basename(archive).split("_")[1] ?? "", folder: target };
    rmSync(target, { recursive: true, force: true });
  }
}

/**
 * The text files below a folder in the order of their paths, with what is in them.
 *
 * @param {string} folder
 * @returns {Generator<{ file: string; text: string }>}
 */
export function* textFiles(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* textFiles(file);
    // Links lead to files that are read under their own name, or out of the package.
    if (!entry.isFile()) continue;
    const bytes = readFileSync(file);
    const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    yield { file: file.replace(/\.gz$/, ""), text };
  }
}

/**
 * @param {string} name
 * @param {string} folder
 */
function archiveOf(name, folder) {
  const file = readdirSync(folder).find((entry) => entry.startsWith(`${name}_`) && entry.endsWith(".deb"));
  return file && path.join(folder, file);
}

/**
 * @param {string} name
 * @param {string} folder
 */
function download(name, folder) {
  run("apt-get", ["download", name], folder);
  return archiveOf(name, folder);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function run(command, args, cwd) {
  return spawnSync(command, args, { cwd, stdio: "ignore", timeout: 600_000 });
}
