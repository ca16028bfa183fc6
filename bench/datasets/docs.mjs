import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { textFiles, unpackDebianTexts } from "./debian.mjs";
import { embedTexts } from "./embed.mjs";
import { isEnglish, kernelOf, paragraphsOfHtml, paragraphsOfText, sentencesOf } from "./sentences.mjs";
import { permutation } from "./shuffle.mjs";

export const source =
  "sentences of the documentation that Debian packages, embedded with all-MiniLM-L6-v2 int8";

/** The texts come in random order, so those embedded first are a sample of all. */
export const shuffled = true;

/** Of each package no more, so that none of them is the data set. */
const MOST_OF_A_PACKAGE = 40_000;
const MOST = 1_001_000;
const SEED = 4711;

/** Manuals, guides and references of Debian 12 (main): operating systems, languages, libraries, sciences, tools. */
const PACKAGES = `
apache2-doc asymptote-doc bacula-doc bind9-doc buildbot-doc cinder-doc clang-15-doc cppreference-doc-en-html csound-doc
db5.3-doc debian-edu-doc-en debian-handbook debian-policy debian-reference-en designate-doc developers-reference
dpdk-doc erlang-doc fp-docs-3.2.2 freedombox-doc-en gap-doc ghc-doc gimp-help-en git-doc glance-doc gnome-devel-docs
gnucash-docs gnumeric-doc gnuplot-doc grass-doc heat-doc installation-guide-amd64 ironic-doc keystone-doc kicad-doc-en
krb5-doc lammps-doc lazarus-doc-2.2 libboost1.74-doc libcommons-lang3-java-doc libglib2.0-doc libgtk-3-doc libgtk-4-doc
libreoffice-help-en-us lilypond-doc-html linux-doc-6.1 linuxcnc-doc-en llvm-15-doc maxima-doc mercurial-common
monodoc-manual neutron-doc nodejs-doc nova-doc ns3-doc octave-doc opencv-doc openjdk-17-doc openmpi-doc pari-doc perl-doc
postgis-doc postgresql-doc-15 povray-doc python-astropy-doc python-biopython-doc python-dask-doc python-django-doc
python-pandas-doc python-qutip-doc python-scipy-doc python-skimage-doc python-sklearn-doc python-sqlalchemy-doc
python-statsmodels-doc python-sympy-doc python-xarray-doc python3.11-doc qtbase5-doc-html qtdeclarative5-doc-html
racket-doc renpy-doc rt5-doc-html rust-doc sagemath-doc scilab-doc singular-doc slurm-wlm-doc sphinx-doc sqlite3-doc
swift-doc tomcat10-docs trilinos-doc vim-doc vtk9-doc zsh-doc
`
  .trim()
  .split(/\s+/);

/**
 * Sentences with their vectors; a label is the package and the sentence, parted by a tab. What was embedded is kept in
 * `folder`, so a run that was stopped, or made fewer, goes on where it was.
 *
 * @param {string} folder
 * @param {number} [first] only so many
 */
export async function makeVectors(folder, first) {
  const labels = sentences(folder).slice(0, first);
  const { dimensions, matrix } = await embedTexts(labels.map(textOf), folder);
  return { dimensions, matrix, labels };
}

/** @param {string} label */
function textOf(label) {
  return label.slice(label.indexOf("\t") + 1);
}

/**
 * The topic of each label: its package.
 *
 * @param {string[]} labels
 */
export function topicsOf(labels) {
  return labels.map((label) => label.slice(0, label.indexOf("\t")));
}

/**
 * Collected once: the archive's versions of the packages change.
 *
 * @param {string} folder
 */
function sentences(folder) {
  const file = path.join(folder, "sentences.txt");
  if (!existsSync(file)) {
    const { labels, versions } = collect(path.join(folder, "packages"));
    writeFileSync(path.join(folder, "packages.json"), `${JSON.stringify(versions, null, 1)}\n`);
    writeFileSync(`${file}.part`, labels.join("\n"));
    renameSync(`${file}.part`, file);
  }
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((label) => isEnglish(textOf(label)));
}

/** @param {string} folder */
function collect(folder) {
  const seen = new Set();
  /** @type {string[]} */
  const all = [];
  /** @type {Record<string, { version: string; sentences: number }>} */
  const versions = {};
  for (const unpacked of unpackDebianTexts(PACKAGES, folder)) {
    /** @type {string[]} */
    const found = [];
    for (const { file, text } of textFiles(unpacked.folder)) {
      const paragraphs = /html?$/.test(file) ? paragraphsOfHtml(text) : paragraphsOfText(text);
      for (const sentence of paragraphs.flatMap(sentencesOf)) {
        const kernel = kernelOf(sentence);
        if (seen.has(kernel)) continue;
        seen.add(kernel);
        found.push(`${unpacked.package}\t${sentence}`);
      }
    }
    const kept = sample(found, MOST_OF_A_PACKAGE);
    versions[unpacked.package] = { version: unpacked.version, sentences: kept.length };
    console.log(`${unpacked.package} ${unpacked.version}: ${kept.length} of ${found.length} sentences`);
    for (const label of kept) all.push(label);
  }
  return { labels: sample(all, MOST), versions };
}

/**
 * At most so many, in random order.
 *
 * @param {string[]} labels
 * @param {number} most
 */
function sample(labels, most) {
  return Array.from(
    permutation(labels.length, SEED).subarray(0, most),
    (at) => /** @type {string} */ (labels[at]),
  );
}
