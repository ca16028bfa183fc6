import { createHmac } from "node:crypto";
import type { StreamResponse } from "@a2a-js/sdk";
import type { PushNotificationSender, PushNotificationStore, ServerCallContext } from "@a2a-js/sdk/server";
import { A2AError } from "../errors.js";
import { withRetry } from "../retry.js";
import type { ServerSdk } from "./a2a-sdk.js";
import { createGuardedFetch, type GuardedHttp } from "./guarded-fetch.js";
import { guardedStatus } from "./http-status.js";
import type { NetworkOptions } from "./network-policy.js";

/** How a served agent reports to webhooks. */
export interface PushOptions {
  /** Which webhooks may be called. Default: public addresses, over https. */
  network?: NetworkOptions;
  /** Signs every report: header `X-A2A-Signature`, see {@link receivePush}. */
  secret?: string;
}

/** Waits before a report is sent again, in milliseconds. */
const RETRY_DELAYS_MS = [100, 400, 1_600];

/** Longest time for one report, in milliseconds. */
const REPORT_MS = 10_000;

/** Header of the signature over `<seconds>.<body>`, with the time in {@link TIMESTAMP_HEADER}. */
export const SIGNATURE_HEADER = "x-a2a-signature";
export const TIMESTAMP_HEADER = "x-a2a-timestamp";
export const TOKEN_HEADER = "x-a2a-notification-token";

/** HMAC-SHA-256 of a report, as the header has it. The time is part of it, so that old reports cannot be replayed. */
export function signReport(secret: string, seconds: string, body: string | Uint8Array): string {
  return `sha256=${createHmac("sha256", secret).update(`${seconds}.`).update(body).digest("hex")}`;
}

/**
 * Reports updates to the webhooks of a task, through a guarded fetch: the address of a webhook is a caller's word, and
 * must not lead into the network of the server.
 */
export class GuardedPushSender implements PushNotificationSender {
  readonly #sdk: ServerSdk;
  readonly #store: PushNotificationStore;
  readonly #secret: string | undefined;
  readonly #http: GuardedHttp;
  readonly #controller = new AbortController();
  /** By task: reports arrive in the order of their updates. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(sdk: ServerSdk, store: PushNotificationStore, { network, secret }: PushOptions) {
    this.#sdk = sdk;
    this.#store = store;
    this.#secret = secret;
    const limits = { totalMs: REPORT_MS, headersMs: REPORT_MS, bodyBytes: 64 * 1024 };
    this.#http = createGuardedFetch({ ...(network === undefined ? {} : { network }), limits });
  }

  async send(update: StreamResponse, context: ServerCallContext): Promise<void> {
    const { payload } = update;
    const taskId = payload?.$case === "task" ? payload.value.id : payload?.value.taskId;
    if (taskId === undefined || taskId === "") return;
    const configs = await this.#store.load(taskId, context);
    if (configs.length === 0) return;
    const body = JSON.stringify(this.#sdk.types.StreamResponse.toJSON(update));
    const before = this.#last.get(taskId) ?? Promise.resolve();
    const report = before.then(async () => {
      await Promise.allSettled(configs.map((config) => this.#report(config, body)));
    });
    this.#last.set(taskId, report);
    await report;
    if (this.#last.get(taskId) === report) this.#last.delete(taskId);
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#http.close();
  }

  async #report(
    { url, token, authentication }: Awaited<ReturnType<PushNotificationStore["load"]>>[number],
    body: string,
  ): Promise<void> {
    const seconds = String(Math.floor(Date.now() / 1000));
    const headers: Record<string, string> = {
      "content-type": "application/a2a+json",
      [TIMESTAMP_HEADER]: seconds,
    };
    if (token !== "") headers[TOKEN_HEADER] = token;
    if (authentication?.credentials)
      headers.authorization = `${authentication.scheme} ${authentication.credentials}`;
    if (this.#secret !== undefined) headers[SIGNATURE_HEADER] = signReport(this.#secret, seconds, body);
    const { signal } = this.#controller;
    await withRetry(
      async () => {
        const response = guardedStatus(
          await this.#http.fetch(url, { method: "POST", headers, body, signal }),
        );
        await response.body?.cancel();
        // A webhook that refuses will refuse again; one that fails may recover.
        if (response.status >= 500) {
          throw new A2AError(`The webhook failed with status ${response.status}`, {
            code: "WEBHOOK_FAILED",
            category: "transient",
          });
        }
      },
      { transientDelaysMs: RETRY_DELAYS_MS, infrastructureDelaysMs: RETRY_DELAYS_MS, signal },
    );
  }
}
