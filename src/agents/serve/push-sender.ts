import { createHmac } from "node:crypto";
import type { StreamResponse, Task } from "@a2a-js/sdk";
import type { PushNotificationSender, PushNotificationStore, ServerCallContext } from "@a2a-js/sdk/server";
import { A2AError } from "../../errors.js";
import { withRetry } from "../../retry.js";
import { createGuardedFetch, type GuardedHttp } from "../http/guarded-fetch.js";
import { guardedStatus } from "../http/http-status.js";
import type { NetworkOptions } from "../http/network-policy.js";
import type { ServerSdk } from "../peer/a2a-sdk.js";
import { isTerminal, taskStateOf } from "../peer/task-state.js";

/** How a served agent reports to webhooks. */
export interface PushOptions {
  /** Which webhooks may be called. Default: public addresses, over https. */
  network?: NetworkOptions;
  /** Signs every report: header `X-A2A-Signature`, see {@link receivePush}. */
  secret?: string;
}

interface Report {
  body: string;
  contentType: string;
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

  async send(update: StreamResponse, context: ServerCallContext, task?: Task): Promise<void> {
    const { payload } = update;
    const taskId = payload?.$case === "task" ? payload.value.id : payload?.value.taskId;
    if (taskId === undefined || taskId === "") return;
    const stored = (await this.#store.loadWithMetadata?.(taskId, context)) ?? [];
    if (stored.length === 0) return;
    const isOver =
      (payload?.$case === "task" || payload?.$case === "statusUpdate") &&
      isTerminal(taskStateOf(payload.value.status?.state));
    const before = this.#last.get(taskId) ?? Promise.resolve();
    const report = before.then(async () => {
      const reports = stored.map(({ config, wireVersion }) =>
        this.#report(config, this.#write(update, wireVersion, task)),
      );
      await Promise.allSettled(reports);
      // Nothing more will be reported: what is kept would be kept for ever.
      if (isOver) for (const { config } of stored) await this.#store.delete(taskId, context, config.id);
    });
    this.#last.set(taskId, report);
    await report;
    if (this.#last.get(taskId) === report) this.#last.delete(taskId);
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#http.close();
  }

  /** In the protocol that the webhook was named in. */
  #write(update: StreamResponse, wireVersion: string, task: Task | undefined): Report {
    const { types, legacy } = this.#sdk;
    if (wireVersion === "0.3") return new legacy.V03PushNotificationSerializer().serialize(update, task);
    return { body: JSON.stringify(types.StreamResponse.toJSON(update)), contentType: "application/a2a+json" };
  }

  async #report(
    { url, token, authentication }: Awaited<ReturnType<PushNotificationStore["load"]>>[number],
    { body, contentType }: Report,
  ): Promise<void> {
    const seconds = String(Math.floor(Date.now() / 1000));
    const headers: Record<string, string> = {
      "content-type": contentType,
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
