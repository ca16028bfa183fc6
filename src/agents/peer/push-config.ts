import type { TaskPushNotificationConfig } from "@a2a-js/sdk";
import { checkOptions, invalidOption } from "../../options.js";

/** Where a peer reports updates of a task, beside any stream: a webhook of yours. */
export interface PushConfig {
  /** Names the configuration, of which a task may have several; the peer makes one without it. */
  id?: string;
  /** Receives a POST per update. Servers refuse addresses that are not public. */
  url: string;
  /** Comes with every report, in the header `X-A2A-Notification-Token`. */
  token?: string;
  /** What the report carries in its header `Authorization`; some servers then leave the token out. */
  authentication?: { scheme: string; credentials: string };
}

/** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
export function toWirePushConfig(
  config: PushConfig,
  taskId: string,
  tenant: string,
  where: string,
): TaskPushNotificationConfig {
  checkOptions(config, ["id", "url", "token", "authentication"], where);
  const { id = "", url, token = "", authentication } = config;
  if (typeof url !== "string" || !URL.canParse(url)) throw invalidOption(where, "url", "a URL", url);
  return { tenant, id, taskId, url, token, authentication };
}

/** A configuration of the wire as ours. */
export function fromWirePushConfig(config: TaskPushNotificationConfig): PushConfig {
  const { id, url, token, authentication } = config;
  const own: PushConfig = { url };
  if (id !== "") own.id = id;
  if (token !== "") own.token = token;
  if (authentication !== undefined) own.authentication = { ...authentication };
  return own;
}
