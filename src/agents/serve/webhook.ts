import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import { parseJson } from "../http/json-scan.js";
import { loadClientSdk } from "../peer/a2a-sdk.js";
import { type A2AEvent, toEvent } from "../peer/task-event.js";
import { SIGNATURE_HEADER, signReport, TIMESTAMP_HEADER, TOKEN_HEADER } from "./push-sender.js";

/** What a webhook insists on. One of `token` and `secret` is needed. */
export interface WebhookOptions {
  /** The token of the push configuration, or several of them while it is being replaced. */
  token?: string | readonly string[];
  /** Secret of the signature, when the peer signs its reports. */
  secret?: string;
  /** Age from which a signed report is refused, in milliseconds; a report is taken once within it. Default 300,000. */
  replayWindowMs?: number;
  /** Default 1 MiB. */
  maxBytes?: number;
}

/** A request of `node:http`, or one of the WHATWG. */
export type WebhookRequest = IncomingMessage | Request;

const NAMES = ["token", "secret", "replayWindowMs", "maxBytes"];
const WINDOW_MS = 300_000;
const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;

/** Most signatures that are remembered against replay. */
const REMEMBERED = 100_000;

/**
 * Receives what peers report to a webhook, and refuses what others send there.
 *
 * @example
 * ```ts
 * const webhook = new A2AWebhook({ token });
 * createServer(async (request, response) => {
 *   const event = await webhook.receive(request); // throws WEBHOOK_REFUSED: answer with 401
 *   response.writeHead(204).end();
 * });
 * ```
 */
export class A2AWebhook {
  readonly #tokens: readonly string[];
  readonly #secret: string | undefined;
  readonly #windowMs: number;
  readonly #maxBytes: number;
  /** Signatures seen, with the time at which they become too old anyway. */
  readonly #seen = new Map<string, number>();

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(options: WebhookOptions) {
    const where = "new A2AWebhook()";
    checkOptions(options, NAMES, where);
    const { token = [], secret, replayWindowMs = WINDOW_MS, maxBytes = MAX_BYTES } = options;
    this.#tokens = typeof token === "string" ? [token] : token;
    this.#secret = secret;
    this.#windowMs = replayWindowMs;
    this.#maxBytes = maxBytes;
    if (this.#tokens.some((each) => typeof each !== "string" || each === "")) {
      throw invalidOption(where, "token", "a string that is not empty", token);
    }
    if (this.#tokens.length === 0 && (secret === undefined || secret === "")) {
      throw invalidOption(where, "token", "given, or 'secret': anybody could send updates otherwise", token);
    }
  }

  /**
   * The update that a request reports.
   *
   * @throws {@link A2AError} `WEBHOOK_REFUSED` (wrong or missing token or signature, too old, seen before),
   * `RESPONSE_TOO_LARGE`, `JSON_REFUSED`, `INVALID_AGENT_RESPONSE`
   */
  async receive(request: WebhookRequest): Promise<A2AEvent> {
    const header = (name: string) => headerOf(request, name);
    // What needs no body first: a stranger's body is not read at all.
    if (this.#tokens.length > 0) {
      const given = header(TOKEN_HEADER) ?? bearerOf(header("authorization"));
      if (given === undefined || !this.#tokens.some((token) => isSame(given, token)))
        throw refused("the token is wrong");
    }
    const body = await readAll(request, this.#maxBytes);
    if (this.#secret !== undefined)
      this.#checkSignature(header(SIGNATURE_HEADER), header(TIMESTAMP_HEADER), body);
    const value = parseJson(body, MAX_DEPTH);
    if (typeof value !== "object" || value === null) throw unreadable();
    const { types, legacy } = await loadClientSdk();
    try {
      const isLegacy = typeof (value as { kind?: unknown }).kind === "string";
      return toEvent(
        isLegacy
          ? legacy.legacyPushNotificationToV1StreamResponse(value)
          : types.StreamResponse.fromJSON(value),
      );
    } catch (cause) {
      throw unreadable(cause);
    }
  }

  #checkSignature(signature: string | undefined, timestamp: string | undefined, body: Uint8Array): void {
    const now = Date.now();
    if (signature === undefined || timestamp === undefined) throw refused("it is not signed");
    const sent = Number(timestamp) * 1000;
    if (!(Math.abs(now - sent) <= this.#windowMs)) throw refused("it is too old, or the clocks differ");
    if (!isSame(signature, signReport(this.#secret ?? "", timestamp, body)))
      throw refused("the signature is wrong");
    for (const [old, until] of this.#seen) {
      if (until > now && this.#seen.size < REMEMBERED) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(signature)) throw refused("it was received before");
    this.#seen.set(signature, now + 2 * this.#windowMs);
  }
}

function headerOf(request: WebhookRequest, name: string): string | undefined {
  if (request.headers instanceof Headers) return request.headers.get(name) ?? undefined;
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(header ?? "")?.[1];
}

/** Compares without telling by its duration how much of a guess is right. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function readAll(request: WebhookRequest, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body = request instanceof Request ? request.body : request;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new A2AError(`The report has more than ${maxBytes} bytes`, {
        code: "RESPONSE_TOO_LARGE",
        context: { limit: "maxBytes" },
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refused(why: string): A2AError {
  return new A2AError(`The report is refused: ${why}`, { code: "WEBHOOK_REFUSED", context: { why } });
}

function unreadable(cause?: unknown): A2AError {
  return new A2AError("The report is no update of a task", { code: "INVALID_AGENT_RESPONSE", cause });
}
