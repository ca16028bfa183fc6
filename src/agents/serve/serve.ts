import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { DefaultRequestHandler, ServerCallContext } from "@a2a-js/sdk/server";
import { A2AError, RuLakeError } from "../../errors.js";
import { Backlog } from "../dispatch/backlog.js";
import { loadServerSdk, type ServerSdk } from "../peer/a2a-sdk.js";
import { HandlerExecutor } from "./agent-executor.js";
import type { AgentHandler } from "./agent-handler.js";
import { type CallerCheck, callerCheck } from "./caller-check.js";
import { GuardedPushSender } from "./push-sender.js";
import { readServeOptions, type ServeLimits, type ServeOptions } from "./serve-options.js";
import { type ServedCard, serveCard, toWireCard } from "./served-card.js";
import { HttpRefusal, readBody, sendJson } from "./served-request.js";
import { RestBinding } from "./served-rest.js";
import { RpcBinding } from "./served-rpc.js";
import { sendEvents } from "./served-stream.js";
import { ServedTasks } from "./served-tasks.js";
import { TaskJournal } from "./task-journal.js";

const WHERE = "serveAsA2A()";
const CARD_PATH = ".well-known/agent-card.json";
const CARD_PATHS = [`/${CARD_PATH}`, "/.well-known/agent.json"];
const JWKS_PATH = ".well-known/jwks.json";
const SUPPORTED_VERSIONS = ["1.0", "0.3"];

/** Seconds for which a caller may keep the card. */
const CARD_MAX_AGE = 300;

/**
 * Serves a handler, a retriever or a runnable to other agents: A2A 1.0 over JSON-RPC and REST, and 0.3 over JSON-RPC, on
 * the server of `@a2a-js/sdk` and `node:http`. Nothing listens until {@link A2AServer.listen}.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 * @throws {@link A2AError} `A2A_SDK_NOT_INSTALLED`
 *
 * @example
 * ```ts
 * const server = await serveAsA2A({
 *   card: { name: "Echo", description: "Says it again" },
 *   handler: async function* ({ text }) {
 *     for (const word of text.split(" ")) yield `${word} `;
 *   },
 * });
 * console.log((await server.listen(4000)).url);
 * ```
 */
export async function serveAsA2A(options: ServeOptions): Promise<A2AServer> {
  const { handler, limits } = readServeOptions(options, WHERE);
  const sdk = await loadServerSdk();
  // The key is read now, so that a wrong one is found before anybody connects.
  const { signingKey } = options;
  const trial = { url: "http://localhost/", pushNotifications: false, auth: undefined };
  const { thumbprint } = await serveCard(
    sdk,
    toWireCard(options.card, trial),
    signingKey,
    "http://localhost/",
  );
  return new A2AServer(sdk, options, handler, limits, thumbprint);
}

interface Running {
  server: Server;
  url: string;
  card: ServedCard;
  etag: string;
  rpc: RpcBinding;
  rest: RestBinding;
  push: GuardedPushSender | undefined;
}

/** An agent that is being served; made by {@link serveAsA2A}. */
export class A2AServer implements AsyncDisposable {
  /** Thumbprint of the signing key (RFC 7638), by which callers can pin this agent; `undefined` without a key. */
  readonly thumbprint: string | undefined;

  readonly #sdk: ServerSdk;
  readonly #options: ServeOptions;
  readonly #limits: ServeLimits;
  readonly #executor: HandlerExecutor;
  readonly #check: CallerCheck;
  readonly #tasks: ServedTasks;
  #running: Running | undefined;

  /** @internal */
  constructor(
    sdk: ServerSdk,
    options: ServeOptions,
    handler: AgentHandler,
    limits: ServeLimits,
    thumbprint: string | undefined,
  ) {
    this.#sdk = sdk;
    this.#options = options;
    this.#limits = limits;
    this.thumbprint = thumbprint;
    this.#check = callerCheck(options.auth);
    const backlog = new Backlog();
    const journal = options.tasks === undefined ? undefined : new TaskJournal(options.tasks, sdk.types.Task);
    this.#tasks = new ServedTasks(limits.keptTasks, (taskId) => backlog.take(taskId), journal);
    // The same as callers know it by: see DiscoveredAgent.agentId.
    const agentId = () => this.thumbprint ?? new URL(CARD_PATH, this.url).href;
    this.#executor = new HandlerExecutor({
      sdk,
      handler,
      limits,
      agentId,
      onError: options.onError,
      backlog,
    });
  }

  /** Where callers reach the agent; `undefined` while it does not listen. */
  get url(): string | undefined {
    return this.#running?.url;
  }

  /** Tasks that are held: those under way, and the latest of those that are over. */
  get taskCount(): number {
    return this.#tasks.size;
  }

  /**
   * Starts to listen.
   *
   * @param port - 0 takes any that is free
   * @param host - default `"127.0.0.1"`: only this machine. `"0.0.0.0"` serves the network; then give `auth`
   * @throws {@link A2AError} `LISTEN_FAILED`, `CLOSED`; {@link LakeError} what opening the collection of `tasks` ends with
   */
  async listen(port = 0, host = "127.0.0.1"): Promise<{ url: string; port: number }> {
    if (this.#running !== undefined) {
      throw new A2AError("A2AServer.listen(): the agent listens already", { code: "LISTEN_FAILED" });
    }
    await this.#tasks.open();
    const server = createServer((request, response) => this.#answer(request, response));
    const listening = new Promise<void>((resolve, reject) => {
      server.once("error", (cause: NodeJS.ErrnoException) => {
        reject(
          new A2AError(`A2AServer.listen(): port ${port} of ${host} cannot be used (${cause.code})`, {
            code: "LISTEN_FAILED",
            category: "infrastructure",
            context: { port, host, reason: cause.code },
            cause,
          }),
        );
      });
      server.listen(port, host, resolve);
    });
    try {
      await listening;
    } catch (error) {
      await this.#tasks.close();
      throw error;
    }
    const address = server.address() as AddressInfo;
    const own = `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}/`;
    const url = withSlash(this.#options.url ?? own);
    this.#running = await this.#start(server, url);
    return { url, port: address.port };
  }

  /** Cancels what runs, ends all connections and stops listening. Closing twice is harmless. */
  async close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#executor.cancelAll();
    await running.push?.close();
    const closed = new Promise<void>((resolve) => running.server.close(() => resolve()));
    running.server.closeIdleConnections();
    // Callers are told that their tasks were canceled before their connections end.
    const timer = setTimeout(() => running.server.closeAllConnections(), 500);
    await closed;
    clearTimeout(timer);
    await this.#tasks.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(server: Server, url: string): Promise<Running> {
    const sdk = this.#sdk;
    const { auth, push: pushOption = false, signingKey, card: input } = this.#options;
    const facts = {
      url,
      pushNotifications: pushOption !== false,
      auth:
        auth === undefined
          ? undefined
          : typeof auth === "function"
            ? ("other" as const)
            : ("bearer" as const),
    };
    const wire = toWireCard(input, facts);
    const card = await serveCard(sdk, wire, signingKey, new URL(JWKS_PATH, url).href);
    const pushStore = new sdk.server.InMemoryPushNotificationStore();
    const push =
      pushOption === false
        ? undefined
        : new GuardedPushSender(sdk, pushStore, pushOption === true ? {} : pushOption);
    const handler: DefaultRequestHandler = new sdk.server.DefaultRequestHandler(
      wire,
      this.#tasks,
      this.#executor,
      undefined,
      push && pushStore,
      push,
      undefined,
      undefined,
      // A turn that asked something back is over; its follower comes with a bus of its own.
      { keepBusAliveStates: [] },
    );
    const etag = `"${createHash("sha256").update(card.json).digest("base64url")}"`;
    return {
      server,
      url,
      card,
      etag,
      rpc: new RpcBinding(sdk, handler),
      rest: new RestBinding(sdk, handler),
      push,
    };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#handle(request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy();
      if (error instanceof HttpRefusal) {
        return sendJson(response, error.status, { error: { message: error.message } }, error.headers);
      }
      const isTheirs = RuLakeError.isInstance(error);
      sendJson(response, isTheirs ? 400 : 500, {
        error: { message: isTheirs ? error.message : "internal error" },
      });
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const running = this.#running;
    if (running === undefined) throw new HttpRefusal(503, "the server closes");
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const method = request.method ?? "GET";
    // Before anything that could take these paths for a task or a tenant.
    if (method === "GET" && CARD_PATHS.includes(pathname)) return sendCard(request, response, running);
    if (method === "GET" && pathname === `/${JWKS_PATH}` && running.card.jwks !== undefined) {
      return sendJson(response, 200, running.card.jwks, { "cache-control": `max-age=${CARD_MAX_AGE}` });
    }
    const caller = await this.#check(request);
    const isRpc = method === "POST" && pathname === "/";
    const body = await readBody(request, this.#limits.bodyBytes, this.#limits.jsonDepth);
    const starts = isRpc ? /^(Send|message\/)/.test(String(body.method)) : pathname.startsWith("/message:");
    if (starts && this.#executor.running >= this.#limits.maxConcurrency) {
      throw new HttpRefusal(503, "too many tasks run", { "retry-after": "1" });
    }
    const context = this.#context(request, caller?.name);
    const answer = isRpc
      ? await running.rpc.answer(body, context)
      : await running.rest.answer({ method, path: pathname, query: searchParams, body }, context);
    if (answer === undefined) throw new HttpRefusal(404, "there is nothing here");
    if ("events" in answer) return sendEvents(response, answer.events);
    sendJson(response, answer.status, answer.body);
  }

  #context({ headers }: IncomingMessage, user: string | undefined): ServerCallContext {
    const given = headers["a2a-version"];
    const version = (Array.isArray(given) ? given[0] : given)?.split(".").slice(0, 2).join(".");
    if (version !== undefined && !SUPPORTED_VERSIONS.includes(version)) {
      throw new HttpRefusal(
        400,
        `protocol ${version} is not spoken, only ${SUPPORTED_VERSIONS.join(" and ")}`,
      );
    }
    const extensions = headers["a2a-extensions"] ?? headers["x-a2a-extensions"];
    return new this.#sdk.server.ServerCallContext({
      requestedVersion: version ?? "0.3",
      requestedExtensions:
        typeof extensions === "string" ? extensions.split(",").map((each) => each.trim()) : [],
      user: { isAuthenticated: user !== undefined, userName: user ?? "" },
    });
  }
}

/** Paths are below the URL: without a slash at its end they would replace the last part of it. */
function withSlash(url: string): string {
  const parsed = new URL(url);
  if (!parsed.pathname.endsWith("/")) parsed.pathname += "/";
  return parsed.href;
}

function sendCard({ headers }: IncomingMessage, response: ServerResponse, { card, etag }: Running): void {
  const caching = { etag, "cache-control": `max-age=${CARD_MAX_AGE}` };
  if (headers["if-none-match"] === etag) response.writeHead(304, caching).end();
  else sendJson(response, 200, card.json, caching);
}
