import { validateHeaderName, validateHeaderValue } from "node:http";
import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import { type OAuth2Options, OAuth2Token, type TokenFetch } from "./oauth2-token.js";

/** A certificate that shows who calls, in PEM. */
export interface MutualTlsOptions {
  cert: string | Buffer;
  key: string | Buffer;
  /** Passphrase of the key. */
  passphrase?: string;
  /** Authorities to trust instead of the usual ones. */
  ca?: string | Buffer | readonly (string | Buffer)[];
}

/** Credentials for a remote agent: they are sent to one origin (scheme, host, port) and nowhere else. */
export interface AuthOptions {
  /** A bearer token, or where to get one: asked before every request, and again when the agent answers 401. */
  bearer?: string | (() => string | Promise<string>);
  /** A key in a header of its own, such as `{ header: "x-api-key", value }`. */
  apiKey?: { header: string; value: string };
  /** Client credentials (RFC 6749, section 4.4): tokens are fetched, kept until they expire, and renewed. */
  oauth2?: OAuth2Options;
  /** Mutual TLS. */
  mtls?: MutualTlsOptions;
}

/** Credentials as headers. */
export interface Credentials {
  /** For the next request. */
  headers(signal: AbortSignal): Promise<Record<string, string>>;
  /** The headers to try once more with after a 401, or `undefined` when there are no others. */
  renewed(refused: Record<string, string>, signal: AbortSignal): Promise<Record<string, string> | undefined>;
}

/**
 * Checks `auth` and makes credentials of it.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`, neither with the secret
 */
export function createCredentials(auth: AuthOptions, where: string, fetchToken: TokenFetch): Credentials {
  checkOptions(auth, ["bearer", "apiKey", "oauth2", "mtls"], `${where}: auth`);
  const { bearer, apiKey, oauth2, mtls } = auth;
  if (bearer !== undefined && oauth2 !== undefined) {
    throw invalidOption(where, "auth", "one of 'bearer' and 'oauth2'", auth);
  }
  if (bearer !== undefined && typeof bearer !== "function" && !isToken(bearer)) {
    throw invalidOption(where, "auth.bearer", "a token or a function that gives one", HIDDEN);
  }
  if (apiKey !== undefined) checkApiKey(apiKey, where);
  if (mtls !== undefined) checkMutualTls(mtls, where);
  const token = oauth2 === undefined ? undefined : new OAuth2Token(oauth2, where, fetchToken);
  const fixed: Record<string, string> =
    apiKey === undefined ? {} : { [apiKey.header.toLowerCase()]: apiKey.value };
  const authorized = (value: string) => ({ ...fixed, authorization: `Bearer ${value}` });
  return {
    async headers(signal) {
      if (token !== undefined) return authorized(await token.get(signal));
      return bearer === undefined ? fixed : authorized(await bearerToken(bearer));
    },
    async renewed(refused, signal) {
      if (token === undefined && typeof bearer !== "function") return undefined;
      const sent = refused.authorization?.slice("Bearer ".length);
      const next = token === undefined ? await bearerToken(bearer ?? "") : await token.get(signal, sent);
      return next === sent ? undefined : authorized(next);
    },
  };
}

async function bearerToken(bearer: string | (() => string | Promise<string>)): Promise<string> {
  if (typeof bearer === "string") return bearer;
  let token: unknown;
  try {
    token = await bearer();
  } catch (cause) {
    throw new A2AError("The function for the bearer token failed", { code: "AUTH_FAILED", cause });
  }
  if (isToken(token)) return token;
  throw new A2AError("The function for the bearer token gave none", {
    code: "AUTH_FAILED",
    context: { given: token === "" ? "an empty string" : typeof token },
  });
}

/** Shown instead of what may be a secret. */
const HIDDEN = Object.freeze(new (class Hidden {})());

/** RFC 6750, section 2.1, and a little more: whatever a header can hold without spaces. */
function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
}

function checkApiKey(apiKey: { header: string; value: string }, where: string): void {
  checkOptions(apiKey, ["header", "value"], `${where}: auth.apiKey`);
  try {
    validateHeaderName(apiKey.header);
  } catch {
    throw invalidOption(where, "auth.apiKey.header", "the name of a header", apiKey.header);
  }
  try {
    validateHeaderValue(apiKey.header, apiKey.value);
    if (typeof apiKey.value === "string" && apiKey.value !== "") return;
  } catch {}
  throw invalidOption(where, "auth.apiKey.value", "a string that a header can hold", HIDDEN);
}

function checkMutualTls(mtls: MutualTlsOptions, where: string): void {
  checkOptions(mtls, ["cert", "key", "passphrase", "ca"], `${where}: auth.mtls`);
  for (const name of ["cert", "key"] as const) {
    const value: unknown = mtls[name];
    if ((typeof value === "string" && value !== "") || Buffer.isBuffer(value)) continue;
    throw invalidOption(where, `auth.mtls.${name}`, "PEM, as a string or Buffer", HIDDEN);
  }
}
