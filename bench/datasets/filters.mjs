import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readTopics } from "./dataset.mjs";
import { readFloats, writeNumbers } from "./matrix.mjs";
import { permutation } from "./shuffle.mjs";
import { byNearness, subsetTruth } from "./subset-truth.mjs";

/**
 * @typedef {import("../measure/request.mjs").FilterFiles & { kind: string; share: number; matching: number }} Filter
 *   `share` of the rows that match
 */

const SEED = 99;
const RANDOM_SHARES = [0.001, 0.01, 0.1, 0.5];
const NEAR_SHARES = [0.001, 0.01, 0.1, 0.5];
const TOPIC_SHARES = [0.01, 0.1];

/**
 * Filters over the base, made once: random ones, which say nothing about where a row lies; those of the rows nearest to
 * one of them, which say everything; and those of whole topics, as people filter.
 *
 * @param {import("./dataset.mjs").Dataset} dataset
 * @param {number} queryCount queries to know the truth for
 * @returns {Promise<Filter[]>}
 */
export async function openFilters(dataset, queryCount) {
  const folder = path.join(dataset.folder, "filters");
  const list = path.join(folder, `filters-${queryCount}.json`);
  if (existsSync(list)) {
    /** @type {Filter[]} */
    const known = JSON.parse(readFileSync(list, "utf8"));
    return known.map((filter) => ({ ...filter, ...filesOf(folder, filter.id) }));
  }
  mkdirSync(folder, { recursive: true });
  const { dimensions, n } = dataset;
  const base = readFloats(path.join(dataset.folder, "base.f32"));
  const queries = readFloats(path.join(dataset.folder, "queries.f32"), { first: queryCount * dimensions });
  const order = permutation(n, SEED);
  const near = byNearness(base, dimensions, order[0] ?? 0);
  const topics = await readTopics(dataset);
  const chosen = [
    ...RANDOM_SHARES.map((share) => ({
      kind: "random",
      share,
      rows: order.subarray(0, Math.round(share * n)),
    })),
    ...NEAR_SHARES.map((share) => ({ kind: "near", share, rows: near.subarray(0, Math.round(share * n)) })),
    ...(topics
      ? TOPIC_SHARES.map((share) => ({ kind: "topics", share, rows: wholeTopics(topics, share) }))
      : []),
  ];
  /** @type {Filter[]} */
  const filters = [];
  for (const { kind, share, rows } of chosen) {
    const id = `${kind}-${share * 100}%`;
    console.log(`filter ${id}: ${rows.length} rows`);
    const ascending = Int32Array.from(rows).sort();
    const files = filesOf(folder, id);
    writeNumbers(files.rows, ascending);
    writeNumbers(files.truth, await subsetTruth(base, ascending, queries, dimensions));
    filters.push({ id, kind, share: ascending.length / n, matching: ascending.length, ...files });
  }
  writeFileSync(list, `${JSON.stringify(filters, null, 1)}\n`);
  return filters;
}

/**
 * @param {string} folder
 * @param {string} id
 */
function filesOf(folder, id) {
  return { rows: path.join(folder, `${id}.rows.i32`), truth: path.join(folder, `${id}.truth.i32`) };
}

/**
 * The rows of the largest topics that are together no more than the share, or of the smallest topic.
 *
 * @param {string[]} topics of each row
 * @param {number} share
 */
function wholeTopics(topics, share) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  for (const [row, topic] of topics.entries()) {
    const rows = groups.get(topic);
    if (rows === undefined) groups.set(topic, [row]);
    else rows.push(row);
  }
  const most = share * topics.length;
  const largest = [...groups.values()].toSorted((a, b) => b.length - a.length);
  /** @type {number[]} */
  const rows = [];
  for (const group of largest) if (rows.length + group.length <= most) rows.push(...group);
  return Int32Array.from(rows.length > 0 ? rows : (largest.at(-1) ?? []));
}
