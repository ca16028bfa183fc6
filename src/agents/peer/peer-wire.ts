import type { SendMessageRequest } from "@a2a-js/sdk";
import type { RequestOptions, Transport } from "@a2a-js/sdk/client";
import type { PeerInterface } from "./peer-interface.js";
import type { A2AEvent } from "./task-event.js";

/** Updates of a task as they come in. */
export interface UpdateStream<Raw = unknown> {
  /** Those of one chunk, not read yet; `undefined` at the end of the connection. */
  next(): Promise<readonly Raw[] | undefined>;
  /** Throws if the update makes no sense. */
  read(raw: Raw): A2AEvent;
  cancel(): Promise<void>;
}

/** A call's signal and headers. */
export interface WireCall {
  signal?: AbortSignal | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

/** The requests with one answer, as the SDK names them. */
export type SingleCalls = Pick<
  Transport,
  | "sendMessage"
  | "getTask"
  | "listTasks"
  | "cancelTask"
  | "createTaskPushNotificationConfig"
  | "listTaskPushNotificationConfig"
  | "deleteTaskPushNotificationConfig"
>;

/** The requests of the protocol to one interface of a peer. */
export interface PeerWire {
  readonly offer: PeerInterface;
  readonly transport: SingleCalls;
  /** Options of a single call in the terms of the SDK. */
  call(call: WireCall): RequestOptions;
  /** Sends a message and reads what becomes of it. */
  send(request: SendMessageRequest, call: WireCall, where: string): Promise<UpdateStream>;
  /** Follows a task that runs already. */
  subscribe(taskId: string, call: WireCall, where: string): Promise<UpdateStream>;
  close(): Promise<void>;
}
