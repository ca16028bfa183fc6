import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { readFloats, writeNumbers } from "./matrix.mjs";
import { permutation } from "./shuffle.mjs";
import { byNearness, subsetTruth } from "./subset-truth.mjs";

/** @typedef {import("../measure/request.mjs").ChurnPlan} ChurnPlan */
/** @typedef {keyof typeof orders} Drift */

const SEED = 7;
const ROUNDS = 10;

/** Of the rows that are there, so many are replaced in all. */
const REPLACED = 0.5;

/** The order in which rows come and go. */
const orders = {
  /** New rows are like the old ones. */
  none: (/** @type {Float32Array} */ base, /** @type {number} */ dimensions) =>
    permutation(base.length / dimensions, SEED),
  /** New rows lie where there were none before, and those that go leave a region empty. */
  full: (/** @type {Float32Array} */ base, /** @type {number} */ dimensions) =>
    byNearness(base, dimensions, permutation(base.length / dimensions, SEED)[0] ?? 0),
};

/** @type {Drift[]} */
export const drifts = ["none", "full"];

/**
 * What comes and goes, and the truth before and after; made once.
 *
 * @param {import("./dataset.mjs").Dataset} dataset
 * @param {Drift} drift
 * @param {number} queryCount queries to know the truth for
 * @returns {Promise<ChurnPlan>}
 */
export async function openChurnPlan(dataset, drift, queryCount) {
  const folder = path.join(dataset.folder, "churn");
  const file = (/** @type {string} */ part) => path.join(folder, `${drift}-${queryCount}.${part}.i32`);
  const replaced = Math.floor((dataset.n * REPLACED) / (1 + REPLACED) / ROUNDS);
  const plan = {
    size: Math.round((replaced * ROUNDS) / REPLACED),
    rounds: ROUNDS,
    replaced,
    order: file("order"),
    truthBefore: file("before"),
    truthAfter: file("after"),
  };
  // Written last.
  if (existsSync(plan.truthAfter)) return plan;
  mkdirSync(folder, { recursive: true });
  const { dimensions } = dataset;
  const base = readFloats(path.join(dataset.folder, "base.f32"));
  const queries = readFloats(path.join(dataset.folder, "queries.f32"), { first: queryCount * dimensions });
  const order = orders[drift](base, dimensions);
  const gone = replaced * ROUNDS;
  writeNumbers(plan.order, order);
  const truthOf = (/** @type {number} */ from) =>
    subsetTruth(base, order.slice(from, from + plan.size), queries, dimensions);
  writeNumbers(plan.truthBefore, await truthOf(0));
  writeNumbers(plan.truthAfter, await truthOf(gone));
  return plan;
}
