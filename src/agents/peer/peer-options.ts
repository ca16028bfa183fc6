import { checkOptions, checkSignal, invalidOption } from "../../options.js";
import type { TaskContext } from "./task-context.js";
import type { TaskPolicy } from "./task-policy.js";

/** Options of every single call to a peer. */
export interface PeerCallOptions {
  /** Ends the call. */
  signal?: AbortSignal | undefined;
  /** Headers of the request, such as `traceparent`. Credentials belong into `auth`. */
  headers?: Readonly<Record<string, string>> | undefined;
}

/** Options of {@link A2APeer.stream} and {@link A2APeer.send}. */
export interface SendOptions extends PeerCallOptions {
  /** Cancels the task at the peer, too, when it aborts. */
  signal?: AbortSignal | undefined;
  /** Conversation that the message belongs to; the peer makes one without it. */
  contextId?: string | undefined;
  /** Task that the message answers or continues; it waits in the state `input-required`. */
  taskId?: string | undefined;
  /** What the task may take; of a single peer, `maxDurationMs` and `allowedSkills` count. */
  policy?: TaskPolicy | undefined;
  /** Task on whose behalf the message is sent. Default: the one whose handler runs, if this is a served agent. */
  context?: TaskContext | undefined;
}

const CALL_NAMES = ["signal", "headers"];

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function checkCallOptions(
  options: PeerCallOptions,
  where: string,
  more: readonly string[] = [],
): void {
  checkOptions(options, [...CALL_NAMES, ...more], where);
  checkSignal(options.signal, where);
  const headers: unknown = options.headers;
  if (headers !== undefined && (typeof headers !== "object" || headers === null)) {
    throw invalidOption(where, "headers", "an object of strings", headers);
  }
}

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function checkSendOptions(options: SendOptions, where: string, more: readonly string[] = []): void {
  checkCallOptions(options, where, ["contextId", "taskId", "policy", "context", ...more]);
  for (const name of ["contextId", "taskId"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "string") throw invalidOption(where, name, "a string", value);
  }
}
