import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import { orAborted } from "../../or-aborted.js";
import { readJson } from "./body.js";

/** OAuth 2.0 client credentials. */
export interface OAuth2Options {
  /** The token endpoint. */
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
  /** Scopes, separated by spaces. */
  scope?: string;
  /** What the token is for (RFC 8707), where the server asks for it. */
  resource?: string;
  /** How the client shows its secret (RFC 6749, section 2.3.1): in a header, or in the form. Default `"basic"`. */
  clientAuthentication?: "basic" | "form";
}

/** Sends the request for a token: a guarded fetch without credentials. */
export type TokenFetch = (url: URL, init: RequestInit) => Promise<Response>;

const NAMES = ["tokenUrl", "clientId", "clientSecret", "scope", "resource", "clientAuthentication"];

/** A token is renewed this long before it expires: clocks differ and requests take time. */
const EARLY_MS = 30_000;

/** How long a token of unknown life is used; RFC 6749 only recommends that servers tell. */
const UNKNOWN_LIFE_MS = 300_000;

const LARGEST_ANSWER = 64 * 1024;

interface Token {
  value: string;
  /** By the monotonic clock, in milliseconds. */
  expires: number;
}

/** The access token of a client, fetched when it is first needed and kept until shortly before it expires. */
export class OAuth2Token {
  readonly #options: OAuth2Options;
  readonly #url: URL;
  readonly #fetch: TokenFetch;
  #token: Token | undefined;
  #pending: Promise<Token> | undefined;

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(options: OAuth2Options, where: string, fetch: TokenFetch) {
    checkOptions(options, NAMES, `${where}: auth.oauth2`);
    for (const name of ["tokenUrl", "clientId", "clientSecret"] as const) {
      if (typeof options[name] === "string" && options[name] !== "") continue;
      throw invalidOption(where, `auth.oauth2.${name}`, "a string", typeof options[name]);
    }
    if (!URL.canParse(options.tokenUrl))
      throw invalidOption(where, "auth.oauth2.tokenUrl", "a URL", typeof "");
    const how = options.clientAuthentication ?? "basic";
    if (how !== "basic" && how !== "form") {
      throw invalidOption(where, "auth.oauth2.clientAuthentication", "'basic' or 'form'", how);
    }
    this.#options = { ...options };
    this.#url = new URL(options.tokenUrl);
    this.#fetch = fetch;
  }

  /**
   * A token that is not about to expire. Callers that ask while one is being fetched share it.
   *
   * @param refused - a token that the agent did not accept: never returned from the cache
   * @throws {@link A2AError} `AUTH_FAILED`, or what fetching failed with
   */
  async get(signal: AbortSignal, refused?: string): Promise<string> {
    const { value, expires } = this.#token ?? { value: undefined, expires: 0 };
    if (value !== undefined && value !== refused && performance.now() < expires) return value;
    // Not bound to the signal of one caller: the others wait for the same token. Its own deadlines end it.
    this.#pending ??= this.#request().finally(() => {
      this.#pending = undefined;
    });
    const token = await orAborted(this.#pending, signal);
    return token.value;
  }

  async #request(): Promise<Token> {
    const { clientId, clientSecret, scope, resource, clientAuthentication = "basic" } = this.#options;
    const form = new URLSearchParams({ grant_type: "client_credentials" });
    if (scope !== undefined) form.set("scope", scope);
    if (resource !== undefined) form.set("resource", resource);
    const headers: Record<string, string> = {
      accept: "application/json",
      "content-type": "application/x-www-form-urlencoded",
    };
    if (clientAuthentication === "form") {
      form.set("client_id", clientId);
      form.set("client_secret", clientSecret);
    } else {
      const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`;
      headers.authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
    }
    const started = performance.now();
    const response = await this.#fetch(this.#url, { method: "POST", headers, body: form.toString() });
    const answer = await readJson(response, LARGEST_ANSWER, 8);
    const fields: Record<string, unknown> =
      typeof answer === "object" && answer !== null ? { ...answer } : {};
    if (!response.ok) throw tokenRefused(this.#url, response.status, fields.error);
    const { access_token: value, token_type: type, expires_in: life } = fields;
    if (
      typeof value !== "string" ||
      !/^[\x21-\x7e]+$/.test(value) ||
      String(type).toLowerCase() !== "bearer"
    ) {
      throw tokenRefused(this.#url, response.status, "no bearer token in the answer");
    }
    const seconds = Number(life);
    const lifeMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : UNKNOWN_LIFE_MS;
    // A token that lives shorter than the margin is used for half its life.
    this.#token = { value, expires: started + Math.max(lifeMs - EARLY_MS, lifeMs / 2) };
    return this.#token;
  }
}

/** RFC 6749, appendix B. */
function formEncoded(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}

function tokenRefused(url: URL, status: number, error: unknown): A2AError {
  // The server chose the text: only what looks like an error code of RFC 6749 is shown.
  const reason = typeof error === "string" && /^[\w .-]{1,60}$/.test(error) ? error : "no reason given";
  const busy = status === 429 || status >= 500;
  return new A2AError(`${url.origin} gave no access token: ${reason} (status ${status})`, {
    code: "AUTH_FAILED",
    category: busy ? "transient" : "permanent",
    context: { origin: url.origin, status, reason },
  });
}
