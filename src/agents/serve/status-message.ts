import { randomUUID } from "node:crypto";
import type { Message } from "@a2a-js/sdk";
import { toWireParts } from "../peer/parts.js";

/** `ROLE_AGENT` of the protocol. */
export const ROLE_AGENT = 2;

/** What a served agent says about the state of a task. */
export function statusMessage(taskId: string, contextId: string, text: string): Message {
  return {
    messageId: randomUUID(),
    taskId,
    contextId,
    role: ROLE_AGENT,
    parts: toWireParts([{ text }]),
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}
