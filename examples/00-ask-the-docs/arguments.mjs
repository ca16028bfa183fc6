// What the user asked for on the command line.
import path from "node:path";
import { parseArgs } from "node:util";
import { modelNames } from "./chat-model.mjs";

/**
 * @typedef {object} Arguments
 * @property {string | undefined} question
 * @property {string | undefined} root folder with the user's own documents
 * @property {string | undefined} store where to keep the passages
 * @property {number} k
 * @property {string | undefined} model
 * @property {boolean} reset
 * @property {boolean} json
 * @property {boolean} help
 */

/** Something to correct on the command line: printed without a stack. */
export class UsageError extends Error {}

export const help = `Answers questions from documentation, offline, and says where the answer stands.

  npm start                                  index what is new, answer a sample question
  npm start -- "how do I rotate keys?"       ask
  npm start -- --root ../my-docs "…"         ask your own folder of Markdown and text files

Options
  --root <folder>    read this folder instead of the documentation of this checkout and its packages
  --k <number>       passages to answer from, 1 to 50 (5)
  --model <name>     ${modelNames.join(", ")}: let this chat model write the answer; none: quote (the one configured)
  --store <path>     where passages are kept, as <lake>/<collection> (.cache/ask-the-docs/…/docs)
  --reset            forget what is stored and start over
  --json             print one JSON object; everything else goes to standard error
  --help             print this

Without a chat model the answer is quoted word for word. A model is used if its package is installed and it is
configured: @langchain/openai by OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_MODEL; @langchain/anthropic by
ANTHROPIC_API_KEY, ANTHROPIC_MODEL; @langchain/ollama by OLLAMA_MODEL, OLLAMA_BASE_URL.`;

/**
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env
 * @returns {Arguments}
 * @throws {UsageError}
 */
export function readArguments(argv, env) {
  const { values, positionals } = parsed(argv);
  const k = Number(values.k ?? 5);
  if (!Number.isInteger(k) || k < 1 || k > 50) {
    throw new UsageError(`--k takes a whole number from 1 to 50, not '${values.k}'`);
  }
  for (const name of /** @type {const} */ (["root", "store"])) {
    if (values[name] === "") throw new UsageError(`--${name} is empty`);
  }
  const { model } = values;
  if (model !== undefined && model !== "none" && !modelNames.includes(model)) {
    throw new UsageError(`--model takes ${modelNames.join(", ")} or none, not '${model}'`);
  }
  // npm runs scripts in the folder of package.json and keeps where the user was in INIT_CWD.
  const from = (env.npm_lifecycle_event === "start" && env.INIT_CWD) || process.cwd();
  const resolved = (/** @type {string | undefined} */ given) => given && path.resolve(from, given);
  return {
    question: positionals.join(" ").trim() || undefined,
    root: resolved(values.root),
    store: resolved(values.store),
    k,
    model,
    reset: values.reset ?? false,
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

function parsed(/** @type {string[]} */ argv) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        root: { type: "string" },
        store: { type: "string" },
        k: { type: "string", short: "k" },
        model: { type: "string" },
        reset: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    // Node.js adds how to pass a positional argument that starts with a dash.
    throw new UsageError(/** @type {Error} */ (error).message.split(". ")[0]);
  }
}
