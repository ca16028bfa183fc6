import { randomUUID } from "node:crypto";
import type { SendMessageRequest } from "@a2a-js/sdk";
import { checkOptions, invalidOption } from "../../options.js";
import { type A2AFile, type A2APart, toWireParts } from "./parts.js";

/** What a message consists of. */
export interface A2AMessage {
  text?: string;
  /** A JSON value beside the text, or several. */
  data?: unknown;
  files?: readonly A2AFile[];
  /** Id of one of the peer's skills; travels as `metadata.skillId` of the message. */
  skill?: string;
  /** Passed on with the message as it is. */
  metadata?: Record<string, unknown>;
  /**
   * Names this message for the peer, which can tell by it that it got it twice. Without one a message whose connection
   * breaks before the peer has answered is not sent again.
   */
  messageId?: string;
}

/** A message, or just its text. */
export type A2AInput = string | A2AMessage;

const NAMES = ["text", "data", "files", "skill", "metadata", "messageId"];

/**
 * The parts and properties of a message.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 */
export function readMessage(input: A2AInput, where: string): A2AMessage & { parts: A2APart[] } {
  const message = typeof input === "string" ? { text: input } : input;
  checkOptions(message, NAMES, where);
  const { text, data, files = [], skill, metadata, messageId } = message;
  for (const [name, value] of Object.entries({ text, skill, messageId })) {
    if (value !== undefined && typeof value !== "string") throw invalidOption(where, name, "a string", value);
  }
  if (!Array.isArray(files)) throw invalidOption(where, "files", "an array", files);
  if (metadata !== undefined && (typeof metadata !== "object" || metadata === null)) {
    throw invalidOption(where, "metadata", "an object", metadata);
  }
  const parts: A2APart[] = [];
  if (text !== undefined && text !== "") parts.push({ text });
  if (data !== undefined) parts.push({ data });
  for (const file of files) parts.push({ file: checkFile(file, where) });
  if (parts.length === 0)
    throw invalidOption(where, "text", "a text that is not empty, or 'data' or 'files'", text);
  return { ...message, parts };
}

function checkFile(file: A2AFile, where: string): A2AFile {
  checkOptions(file, ["name", "mediaType", "bytes", "url"], `${where}: files`);
  const { bytes, url } = file;
  const isOne =
    bytes instanceof Uint8Array ? url === undefined : typeof url === "string" && bytes === undefined;
  if (!isOne) throw invalidOption(where, "files", "files with either bytes (Uint8Array) or a url", file);
  return file;
}

/** Where a message belongs and what travels with it. */
export interface Addressing {
  tenant: string;
  taskId?: string | undefined;
  contextId?: string | undefined;
  /** Added to the message's own metadata. */
  metadata?: Record<string, unknown> | undefined;
  /** Whether the peer shall answer before the task is over. */
  returnImmediately: boolean;
  acceptedOutputModes: readonly string[];
}

/** The number of the wire enum `Role` for the one who asks (specification/a2a.proto). */
const ROLE_USER = 1;

/** The request that carries a message. */
export function toRequest(
  { parts, skill, metadata, messageId }: A2AMessage & { parts: readonly A2APart[] },
  { tenant, taskId, contextId, returnImmediately, acceptedOutputModes, ...rest }: Addressing,
): SendMessageRequest {
  const all = { ...metadata, ...(skill === undefined ? {} : { skillId: skill }), ...rest.metadata };
  return {
    tenant,
    message: {
      messageId: messageId ?? randomUUID(),
      contextId: contextId ?? "",
      taskId: taskId ?? "",
      role: ROLE_USER,
      parts: toWireParts(parts),
      metadata: Object.keys(all).length === 0 ? undefined : all,
      extensions: [],
      referenceTaskIds: [],
    },
    configuration: {
      acceptedOutputModes: [...acceptedOutputModes],
      taskPushNotificationConfig: undefined,
      returnImmediately,
    },
    metadata: undefined,
  };
}
