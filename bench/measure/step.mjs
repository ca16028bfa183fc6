// One step of the benchmark in a process of its own: node --expose-gc step.mjs <request.json>
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "./build-step.mjs";
import { churn } from "./churn-step.mjs";
import { filtered } from "./filtered-step.mjs";
import { overhead } from "./overhead-step.mjs";
import { search } from "./search-step.mjs";

/** @typedef {import("./request.mjs").Peer} Peer */
/** @typedef {import("./request.mjs").Request} Request */

const steps = { build, search, filtered, churn, overhead };

/** @type {Request} */
const request = JSON.parse(readFileSync(/** @type {string} */ (process.argv[2]), "utf8"));
/** @type {{ createPeer(): Peer }} */
const { createPeer } = await import(`../peers/${request.peer}.mjs`);
const result = await steps[request.step](createPeer, request);
writeFileSync(request.result, JSON.stringify(result));
