import { A2AError } from "../../errors.js";
import { readBytes } from "../http/body.js";
import type { GuardedFetch } from "../http/guarded-fetch.js";
import { retryAfterMs } from "../http/http-status.js";
import type { Limits } from "../http/limits.js";
import { placeOf } from "../http/network-policy.js";

/** A card as it came. */
export interface FetchedCard {
  url: URL;
  bytes: Uint8Array;
}

/** Where cards are: since 0.3, and before. */
const WELL_KNOWN = ["agent-card.json", "agent.json"];

/** How long a card is used whose server says nothing about it. */
const DEFAULT_AGE_MS = 300_000;

const MOST_CARDS = 256;

interface CachedCard {
  bytes: Uint8Array;
  etag: string | undefined;
  /** By the monotonic clock. */
  freshUntil: number;
}

/**
 * Fetches cards and keeps them as long as their servers allow (`Cache-Control`, RFC 9111) and no longer than the
 * caller wants; older ones are asked for by their `ETag`.
 */
export class CardSource {
  readonly #fetch: GuardedFetch;
  readonly #cards = new Map<string, CachedCard>();

  constructor(fetch: GuardedFetch) {
    this.#fetch = fetch;
  }

  /**
   * The card of the agent at a URL: the URL itself if it ends in `.json`, otherwise the well-known places below it.
   *
   * @throws {@link A2AError} `CARD_NOT_FOUND`, `CARD_UNAVAILABLE`, and what fetching ends with
   */
  async get(
    agent: URL,
    maxAgeMs: number,
    limits: Limits,
    signal: AbortSignal | undefined,
  ): Promise<FetchedCard> {
    const places = placesOf(agent);
    for (const url of places) {
      const bytes = await this.#getFrom(url, maxAgeMs, limits, signal);
      if (bytes !== undefined) return { url, bytes };
    }
    throw new A2AError(`There is no agent card at ${placeOf(agent)}`, {
      code: "CARD_NOT_FOUND",
      context: { urls: places.map(placeOf) },
      hint: "Give the URL of the agent, or that of its card.",
    });
  }

  async #getFrom(
    url: URL,
    maxAgeMs: number,
    limits: Limits,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const cached = this.#cards.get(url.href);
    if (cached !== undefined && maxAgeMs > 0 && performance.now() < cached.freshUntil) return cached.bytes;
    const response = await this.#fetch(url, {
      headers: {
        accept: "application/json",
        // Without it, servers of both versions give a card for 0.3, whose signature may not hold.
        "A2A-Version": "1.0",
        ...(cached?.etag !== undefined && { "if-none-match": cached.etag }),
      },
      limits: { bodyBytes: limits.cardBytes, totalMs: limits.cardMs },
      ...(signal !== undefined && { signal }),
    });
    if (response.status === 304 && cached !== undefined) {
      this.#keep(url, { ...cached, freshUntil: freshUntil(response, maxAgeMs) ?? 0 });
      return cached.bytes;
    }
    if (response.status !== 200) {
      await response.body?.cancel();
      if ([404, 405, 410].includes(response.status)) return undefined;
      throw unavailable(url, response);
    }
    const bytes = await readBytes(response, limits.cardBytes);
    const until = freshUntil(response, maxAgeMs);
    const etag = response.headers.get("etag") ?? undefined;
    if (until === undefined) this.#cards.delete(url.href);
    else this.#keep(url, { bytes, etag, freshUntil: until });
    return bytes;
  }

  #keep(url: URL, card: CachedCard): void {
    this.#cards.delete(url.href);
    this.#cards.set(url.href, card);
    for (const [oldest] of this.#cards) {
      if (this.#cards.size <= MOST_CARDS) break;
      this.#cards.delete(oldest);
    }
  }
}

function placesOf(agent: URL): URL[] {
  if (agent.pathname.endsWith(".json")) return [agent];
  const base = new URL(agent);
  base.search = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return WELL_KNOWN.map((name) => new URL(`.well-known/${name}`, base));
}

/** When an answer gets old, by the monotonic clock; `undefined` if it may not be kept. */
function freshUntil({ headers }: Response, maxAgeMs: number): number | undefined {
  const directives = (headers.get("cache-control") ?? "")
    .toLowerCase()
    .split(",")
    .map((each) => each.trim());
  if (directives.includes("no-store")) return undefined;
  const seconds = directives
    .map((each) => /^max-age="?(\d+)"?$/.exec(each)?.[1])
    .find((each) => each !== undefined);
  const age = Number(headers.get("age") ?? 0) || 0;
  const allowed = seconds === undefined ? DEFAULT_AGE_MS : (Number(seconds) - age) * 1000;
  const lifeMs = directives.includes("no-cache") ? 0 : Math.max(0, Math.min(allowed, maxAgeMs));
  return performance.now() + lifeMs;
}

function unavailable(url: URL, { status, headers }: Response): A2AError {
  const busy = status === 429 || status >= 500;
  const wait = busy ? { retryAfterMs: retryAfterMs(headers.get("retry-after")) } : {};
  return new A2AError(`${placeOf(url)} answered ${status} instead of an agent card`, {
    code: "CARD_UNAVAILABLE",
    category: busy ? "transient" : "permanent",
    context: { url: placeOf(url), status, ...wait },
    ...((status === 401 || status === 403) && { hint: "The card needs credentials: give them as 'auth'." }),
  });
}
