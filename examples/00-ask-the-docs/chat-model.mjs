// The chat model that writes the answer, if one is configured. None is needed, and none is installed with rulake.

/**
 * @typedef {NodeJS.ProcessEnv} Env
 * @typedef {import("@langchain/core/language_models/chat_models").BaseChatModel} ChatModel
 *
 * @typedef {object} Provider
 * @property {string} name
 * @property {string} package
 * @property {string[]} variables any of which says that it is to be used
 * @property {(module: any, env: Env) => ChatModel} create
 */

/** @type {Provider[]} */
const providers = [
  {
    name: "openai",
    package: "@langchain/openai",
    variables: ["OPENAI_API_KEY", "OPENAI_BASE_URL"],
    create: ({ ChatOpenAI }, env) =>
      new ChatOpenAI({
        model: env.OPENAI_MODEL ?? "gpt-5-mini",
        // Local servers that speak this protocol want no key; the client insists on some.
        apiKey: env.OPENAI_API_KEY ?? "none",
        ...(env.OPENAI_BASE_URL ? { configuration: { baseURL: env.OPENAI_BASE_URL } } : {}),
      }),
  },
  {
    name: "anthropic",
    package: "@langchain/anthropic",
    variables: ["ANTHROPIC_API_KEY"],
    create: ({ ChatAnthropic }, env) =>
      new ChatAnthropic({ model: env.ANTHROPIC_MODEL ?? "claude-haiku-4-5" }),
  },
  {
    name: "ollama",
    package: "@langchain/ollama",
    variables: ["OLLAMA_MODEL"],
    create: ({ ChatOllama }, env) =>
      new ChatOllama({
        model: env.OLLAMA_MODEL,
        ...(env.OLLAMA_BASE_URL ? { baseUrl: env.OLLAMA_BASE_URL } : {}),
      }),
  },
];

/** What `--model` takes besides "none". */
export const modelNames = providers.map(({ name }) => name);

/**
 * @param {string | undefined} wanted name of a provider, or "none"; by default the first one that is configured
 * @param {Env} env
 * @returns {Promise<{ name: string; model?: ChatModel; note?: string }>} with a note when a model is configured but cannot be used
 */
export async function chatModel(wanted, env) {
  const isConfigured = (/** @type {Provider} */ { variables }) => variables.some((variable) => env[variable]);
  const provider = providers.find((each) =>
    wanted === undefined ? isConfigured(each) : each.name === wanted,
  );
  if (provider === undefined) return { name: "none" };
  if (!isConfigured(provider)) {
    return {
      name: "none",
      note: `${provider.name} needs ${provider.variables[0]} in the environment; quoting instead.`,
    };
  }
  try {
    return { name: provider.name, model: provider.create(await import(provider.package), env) };
  } catch (error) {
    const missing = /** @type {NodeJS.ErrnoException} */ (error).code === "ERR_MODULE_NOT_FOUND";
    const problem = missing
      ? `${provider.package} is not installed (npm install --no-save ${provider.package})`
      : /** @type {Error} */ (error).message;
    return { name: "none", note: `${provider.name} is configured, but ${problem}; quoting instead.` };
  }
}
