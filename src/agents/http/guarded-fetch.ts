import { Agent as HttpAgent, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { A2AError, ConfigError } from "../../errors.js";
import { checkOptions, checkSignal, invalidOption } from "../../options.js";
import { Call } from "./call.js";
import { type AuthOptions, type Credentials, createCredentials } from "./credentials.js";
import { exchange } from "./http-exchange.js";
import { createResponse } from "./incoming-response.js";
import { type Limits, resolveLimits } from "./limits.js";
import { type NetworkOptions, NetworkPolicy, placeOf } from "./network-policy.js";
import { type OutgoingRequest, prepareRequest } from "./outgoing-request.js";
import { redirection, redirectRefused, redirectTarget } from "./redirect.js";

/** Options of {@link createGuardedFetch}. */
export interface GuardedFetchOptions {
  /** Which places may be talked to. Default: public addresses, over https. */
  network?: NetworkOptions;
  /** What an answer may cost. */
  limits?: Partial<Limits>;
  /** Credentials, for {@link GuardedFetchOptions.origin} alone. */
  auth?: AuthOptions;
  /** The origin the credentials belong to, such as `"https://peer.example"`; needed with `auth`. */
  origin?: string;
  /** Authorities that certify servers, in PEM, instead of those Node.js knows. */
  tls?: { ca?: string | Buffer | readonly (string | Buffer)[] };
}

/**
 * `fetch` of the WHATWG with guards. It rejects with an {@link A2AError}, or with the reason of the caller's signal.
 * `init.limits` replaces single limits for one call. Statuses are answers, not errors; redirects are followed up to
 * three times within the origin, and for GET and HEAD only.
 */
export type GuardedFetch = (
  input: string | URL | Request,
  init?: RequestInit & { limits?: Partial<Limits> },
) => Promise<Response>;

/** A guarded fetch and its connections. */
export interface GuardedHttp {
  readonly fetch: GuardedFetch;
  /** Ends calls under way with `CLOSED` and closes all connections. */
  close(): Promise<void>;
}

const NAMES = ["network", "limits", "auth", "origin", "tls"];
const WHERE = "createGuardedFetch";

/**
 * How long an unused connection is kept. Servers close theirs after 5 seconds or more: a shorter time here makes it
 * rare that a request meets a connection about to be closed.
 */
const KEEP_ALIVE_MS = 3_000;

/**
 * A `fetch` for talking to agents one does not trust: deadlines, sizes counted after decompression, depth of JSON,
 * addresses checked after DNS and pinned to the connection, no redirect to another origin, and credentials that one
 * origin gets and no other.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 *
 * @example
 * ```ts
 * const { fetch, close } = createGuardedFetch({
 *   auth: { bearer: token },
 *   origin: "https://peer.example",
 *   limits: { totalMs: 30_000 },
 * });
 * const response = await fetch("https://peer.example/tasks");
 * ```
 */
export function createGuardedFetch(options: GuardedFetchOptions = {}): GuardedHttp {
  const client = new GuardedClient(options);
  return { fetch: (input, init) => client.fetch(input, init), close: () => client.close() };
}

class GuardedClient {
  readonly #policy: NetworkPolicy;
  readonly #limits: Readonly<Limits>;
  readonly #origin: string | undefined;
  readonly #credentials: Credentials | undefined;
  readonly #http = new HttpAgent({ keepAlive: true, timeout: KEEP_ALIVE_MS });
  readonly #https: HttpsAgent;
  /** With the client's certificate: for the origin of the credentials. */
  readonly #httpsOfOrigin: HttpsAgent;
  readonly #calls = new Set<Call>();
  #closed = false;

  constructor(options: GuardedFetchOptions) {
    checkOptions(options, NAMES, WHERE);
    checkOptions(options.tls, ["ca"], `${WHERE}: tls`);
    this.#policy = new NetworkPolicy(options.network, WHERE);
    this.#limits = resolveLimits(options.limits, WHERE);
    this.#origin = originOf(options);
    if (options.auth !== undefined) {
      this.#credentials = createCredentials(options.auth, WHERE, (url, init) => this.#fetchBare(url, init));
    }
    const { ca, ...certificate } = options.auth?.mtls ?? {};
    this.#https = httpsAgent({ ca: options.tls?.ca });
    this.#httpsOfOrigin =
      options.auth?.mtls === undefined
        ? this.#https
        : httpsAgent({ ...certificate, ca: ca ?? options.tls?.ca });
  }

  async fetch(input: string | URL | Request, init: RequestInit & { limits?: Partial<Limits> } = {}) {
    checkSignal(init.signal ?? undefined, "fetch");
    const limits = resolveLimits(init.limits, "fetch", this.#limits);
    const request = await prepareRequest(input, init);
    const signal = init.signal ?? (input instanceof Request ? input.signal : undefined);
    return this.#run(request, limits, signal, (call) => this.#follow(call, request, limits));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const call of [...this.#calls]) call.fail(closed());
    for (const agent of [this.#http, this.#https, this.#httpsOfOrigin]) agent.destroy();
  }

  /** A request without credentials or redirects, for getting credentials. */
  async #fetchBare(url: URL, init: RequestInit): Promise<Response> {
    const request = await prepareRequest(url, init);
    const limits = { ...this.#limits, totalMs: Math.min(this.#limits.totalMs, this.#limits.headersMs) };
    return this.#run(request, limits, undefined, async (call) => {
      const message = await this.#send(call, request, {}, limits);
      if (redirection(message) !== undefined) throw redirectRefused(url, "a token endpoint may not redirect");
      return createResponse(call, request, message, limits, false);
    });
  }

  async #run(
    { url }: OutgoingRequest,
    limits: Limits,
    signal: AbortSignal | null | undefined,
    work: (call: Call) => Promise<Response>,
  ): Promise<Response> {
    if (this.#closed) throw closed();
    const call = new Call(placeOf(url), limits.totalMs, signal, (ended) => this.#calls.delete(ended));
    if (!call.signal.aborted) this.#calls.add(call);
    try {
      call.signal.throwIfAborted();
      return await work(call);
    } catch (error) {
      const failure = call.reason(error);
      call.fail(failure);
      throw failure;
    }
  }

  async #follow(call: Call, first: OutgoingRequest, limits: Limits): Promise<Response> {
    let request = first;
    for (let redirects = 0; ; redirects++) {
      const message = await this.#sendAuthorized(call, request, limits);
      const location = redirection(message);
      if (location === undefined || request.redirect === "manual") {
        return createResponse(call, request, message, limits, redirects > 0);
      }
      message.destroy();
      request = { ...request, url: redirectTarget(request, location, redirects) };
    }
  }

  /** Sends with credentials where they belong, and once more with new ones after a 401. */
  async #sendAuthorized(call: Call, request: OutgoingRequest, limits: Limits): Promise<IncomingMessage> {
    // Before credentials are fetched for a place that is refused anyway.
    this.#policy.checkUrl(request.url);
    const credentials = request.url.origin === this.#origin ? this.#credentials : undefined;
    const sent = (await credentials?.headers(call.signal)) ?? {};
    const message = await this.#send(call, request, sent, limits);
    if (message.statusCode !== 401 || credentials === undefined) return message;
    const renewed = await credentials.renewed(sent, call.signal);
    if (renewed === undefined) return message;
    message.destroy();
    return this.#send(call, request, renewed, limits);
  }

  async #send(
    call: Call,
    given: OutgoingRequest,
    credentials: Record<string, string>,
    limits: Limits,
  ): Promise<IncomingMessage> {
    this.#policy.checkUrl(given.url);
    const request = { ...given, headers: { ...given.headers, ...credentials } };
    const agent = this.#agentFor(given.url);
    let outcome = await exchange(call, request, agent, this.#policy, limits);
    // The peer had closed the connection before it saw the request; only what may arrive twice is sent again.
    if ("failure" in outcome && outcome.stale && (given.method === "GET" || given.method === "HEAD")) {
      outcome = await exchange(call, request, agent, this.#policy, limits);
    }
    if ("failure" in outcome) throw outcome.failure;
    return outcome.message;
  }

  #agentFor(url: URL): HttpAgent {
    if (url.protocol === "http:") return this.#http;
    return url.origin === this.#origin ? this.#httpsOfOrigin : this.#https;
  }
}

function httpsAgent(given: { ca?: unknown; cert?: unknown; key?: unknown; passphrase?: string }): HttpsAgent {
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  // Stated, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the default off.
  return new HttpsAgent({ ...set, keepAlive: true, timeout: KEEP_ALIVE_MS, rejectUnauthorized: true });
}

function originOf({ auth, origin }: GuardedFetchOptions): string | undefined {
  if (origin === undefined) {
    if (auth === undefined) return undefined;
    throw new ConfigError(`${WHERE}: 'auth' needs the 'origin' it belongs to`, {
      code: "INVALID_OPTION",
      context: { option: "origin" },
      hint: "Credentials are sent to one origin only, such as 'https://peer.example'.",
    });
  }
  if (typeof origin !== "string" || !/^https?:/i.test(origin) || !URL.canParse(origin)) {
    throw invalidOption(WHERE, "origin", "an http or https origin", typeof origin);
  }
  return new URL(origin).origin;
}

function closed(): A2AError {
  return new A2AError("The connections to this peer were closed", { code: "CLOSED" });
}
