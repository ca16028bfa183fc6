import type { IncomingMessage } from "node:http";
import { ConfigError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import {
  type AgentHandler,
  type AgentRequest,
  type RetrieverLike,
  type RunnableAdapter,
  type RunnableLike,
  retrieverHandler,
  runnableHandler,
} from "./agent-handler.js";
import type { PushOptions } from "./push-sender.js";
import { type CardInput, checkCard, type SigningKey } from "./served-card.js";

/** Who asks: tasks belong to their caller, and no other caller sees them. */
export interface Caller {
  name: string;
}

/** Who may ask: holders of a token, or whom a function lets in; `undefined` turns the request away with 401. */
export type ServeAuth =
  | { bearer: string | readonly string[] }
  | ((request: IncomingMessage) => Caller | undefined | Promise<Caller | undefined>);

/** What callers may ask of a served agent. */
export interface ServeLimits {
  /** A request. Default 1 MiB. */
  bodyBytes: number;
  /** Nesting of its JSON. Default 64. */
  jsonDepth: number;
  /** Turns that run at the same time; more are turned away with 503. Default 100. */
  maxConcurrency: number;
  /** A turn, in milliseconds. Default 600,000. */
  taskMs: number;
  /** Agents in a chain that ask each other; longer ones are turned away. Default 32. */
  maxDepth: number;
  /** Tasks kept after their end, for callers that ask later. Default 1,000. */
  keptTasks: number;
}

/** Options of {@link serveAsA2A}: a card, and one of `handler`, `retriever` and `runnable`. */
export interface ServeOptions {
  card: CardInput;
  handler?: AgentHandler;
  /** Answers with what it finds: texts, and the documents with their metadata as data. */
  retriever?: RetrieverLike;
  /** Anything with `invoke`, and `stream` if it has it. */
  runnable?: RunnableLike;
  /** What the runnable is given, by default the text. */
  input?: RunnableAdapter["input"];
  /** What of the runnable's output goes to the caller. */
  output?: RunnableAdapter["output"];
  /** Signs the card. */
  signingKey?: SigningKey;
  /** Default: everybody who reaches the port. */
  auth?: ServeAuth;
  limits?: Partial<ServeLimits>;
  /**
   * Collection of a lake that keeps the tasks, as `"<lake>/<collection>"`: they survive the process, and a power cut. Made
   * if it is missing, open while the agent listens. Default: tasks are in memory alone.
   */
  tasks?: string;
  /** URL that callers reach the agent at, when that is not where it listens. */
  url?: string;
  /** Lets callers name webhooks. Default: none are called. */
  push?: PushOptions | boolean;
  /** Told what a handler threw. A string it returns is what the caller gets to know; by default no more than that. */
  onError?: (error: unknown, request: AgentRequest) => unknown;
}

const NAMES = [
  "card",
  "handler",
  "retriever",
  "runnable",
  "input",
  "output",
  "signingKey",
  "auth",
  "limits",
  "tasks",
  "url",
  "push",
  "onError",
];

const DEFAULTS: Readonly<ServeLimits> = {
  bodyBytes: 1024 * 1024,
  jsonDepth: 64,
  maxConcurrency: 100,
  taskMs: 600_000,
  maxDepth: 32,
  keptTasks: 1_000,
};

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function readServeOptions(
  options: ServeOptions,
  where: string,
): { handler: AgentHandler; limits: ServeLimits } {
  checkOptions(options, NAMES, where);
  checkCard(options.card, where);
  if (options.url !== undefined && !URL.canParse(options.url))
    throw invalidOption(where, "url", "a URL", options.url);
  const { tasks } = options;
  if (tasks !== undefined && (typeof tasks !== "string" || tasks === "")) {
    throw invalidOption(where, "tasks", "'<lake>/<collection>'", tasks);
  }
  return { handler: handlerOf(options, where), limits: limitsOf(options.limits, where) };
}

function handlerOf(
  { handler, retriever, runnable, input, output }: ServeOptions,
  where: string,
): AgentHandler {
  const given = Object.entries({ handler, retriever, runnable }).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    throw new ConfigError(`${where}: exactly one of 'handler', 'retriever' and 'runnable' is needed`, {
      code: "INVALID_OPTION",
      context: { given: given.map(([name]) => name) },
    });
  }
  if (handler !== undefined) {
    if (typeof handler !== "function") throw invalidOption(where, "handler", "a function", handler);
    return handler;
  }
  if (retriever !== undefined) {
    const { invoke, retrieve } = retriever as { invoke?: unknown; retrieve?: unknown };
    if (typeof invoke === "function" || typeof retrieve === "function") return retrieverHandler(retriever);
    throw invalidOption(where, "retriever", "an object with 'invoke' or 'retrieve'", retriever);
  }
  if (typeof runnable?.invoke === "function") return runnableHandler(runnable, { input, output });
  throw invalidOption(where, "runnable", "an object with 'invoke'", runnable);
}

function limitsOf(given: Partial<ServeLimits> | undefined, where: string): ServeLimits {
  const names = Object.keys(DEFAULTS) as (keyof ServeLimits)[];
  checkOptions(given, names, `${where}: limits`);
  const limits = { ...DEFAULTS };
  for (const name of names) {
    const value = given?.[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < 1) {
      throw invalidOption(where, `limits.${name}`, "a whole number from 1", value);
    }
    limits[name] = value;
  }
  return limits;
}
