import {
  type CryptoKey,
  createRemoteJWKSet,
  customFetch,
  exportJWK,
  type JWK,
  type JWSHeaderParameters,
  type RemoteJWKSetOptions,
} from "jose";
import { A2AError, RuLakeError } from "../../errors.js";
import { readBytes } from "../http/body.js";
import type { GuardedFetch } from "../http/guarded-fetch.js";
import type { Limits } from "../http/limits.js";
import { readCardJson } from "./card-json.js";
import type { Trust } from "./trust.js";

/** Where a key came from: the caller, a key set on the web, or the signature itself. */
export type KeySource = "pinned" | "jku" | "header";

/** A key that may have signed. */
export interface CandidateKey {
  jwk: JWK;
  source: KeySource;
}

/** What of a protected header leads to a key. */
export interface KeyHint {
  alg: string;
  kid: string;
  jku?: string;
  jwk?: JWK;
}

/** A key set is fetched again for an unknown key after this time at the earliest, and in any case after ten minutes. */
const COOLDOWN_MS = 30_000;
const KEY_SET_MAX_AGE_MS = 600_000;

/** Keys of one key set that are tried when its `kid` names several. */
const MOST_NAMESAKES = 4;

/** Finds the keys that signatures of cards name; key sets are fetched once and kept for a while. */
export class SigningKeys {
  readonly #fetch: GuardedFetch;
  readonly #sets = new Map<string, ReturnType<typeof createRemoteJWKSet>>();

  constructor(fetch: GuardedFetch) {
    this.#fetch = fetch;
  }

  /**
   * The keys that may have made a signature, those of the caller first.
   *
   * @param cardUrl - a key set at its origin may be fetched unless the caller listed others
   * @throws {@link A2AError} `KEY_SET_FAILED` when a key set cannot be had; `KEY_SET_REFUSED` when it may not be fetched
   */
  async *candidates(hint: KeyHint, cardUrl: URL, trust: Trust, limits: Limits): AsyncGenerator<CandidateKey> {
    for (const jwk of trust.keys) {
      if (jwk.kid === undefined || jwk.kid === hint.kid) yield { jwk, source: "pinned" };
    }
    // Alone it says nothing, but its thumbprint may be one that is trusted.
    if (hint.jwk !== undefined) yield { jwk: hint.jwk, source: "header" };
    if (hint.jku === undefined) return;
    const url = allowedKeySet(hint.jku, cardUrl, trust);
    for (const jwk of await this.#fromKeySet(url, hint, limits)) yield { jwk, source: "jku" };
  }

  async #fromKeySet(url: URL, { alg, kid }: KeyHint, limits: Limits): Promise<JWK[]> {
    let set = this.#sets.get(url.href);
    if (set === undefined) {
      set = createRemoteJWKSet(url, this.#options(limits));
      this.#sets.set(url.href, set);
    }
    try {
      return [await exportJWK(await set({ alg, kid } as JWSHeaderParameters))];
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === "ERR_JWKS_NO_MATCHING_KEY") return [];
      if (code === "ERR_JWKS_MULTIPLE_MATCHING_KEYS") return namesakes(error as AsyncIterable<CryptoKey>);
      throw keySetFailed(url, error);
    }
  }

  #options(limits: Limits): RemoteJWKSetOptions {
    const caps = { bodyBytes: limits.cardBytes, totalMs: limits.cardMs };
    return {
      cooldownDuration: COOLDOWN_MS,
      cacheMaxAge: KEY_SET_MAX_AGE_MS,
      timeoutDuration: limits.cardMs,
      headers: { accept: "application/json" },
      [customFetch]: async (url, init) => {
        const response = await this.#fetch(url, { ...init, limits: caps });
        if (response.status !== 200) return response;
        const set = await readCardJson(await readBytes(response, limits.cardBytes), limits.jsonDepth);
        return Response.json(set);
      },
    };
  }
}

async function namesakes(keys: AsyncIterable<CryptoKey>): Promise<JWK[]> {
  const found: JWK[] = [];
  for await (const key of keys) {
    found.push(await exportJWK(key));
    if (found.length === MOST_NAMESAKES) break;
  }
  return found;
}

function allowedKeySet(jku: string, cardUrl: URL, trust: Trust): URL {
  const url = URL.canParse(jku) ? new URL(jku) : undefined;
  const allowed = trust.jku === undefined ? url?.origin === cardUrl.origin : trust.jku.has(url?.href ?? "");
  if (url !== undefined && allowed) return url;
  throw new A2AError("A signature names a key set that may not be fetched", {
    code: "KEY_SET_REFUSED",
    context: { origin: url?.origin ?? "none" },
    hint: "List its URL in trust.jku if its keys shall count.",
  });
}

function keySetFailed(url: URL, cause: unknown): A2AError {
  const category = RuLakeError.isInstance(cause) ? cause.category : "transient";
  return new A2AError(`The key set ${url.origin}${url.pathname} cannot be had`, {
    code: "KEY_SET_FAILED",
    category,
    context: { url: `${url.origin}${url.pathname}` },
    cause,
  });
}
