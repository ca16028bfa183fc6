import type { Limits } from "../http/limits.js";
import type { UpdateStream } from "./peer-wire.js";
import type { A2AEvent } from "./task-event.js";

/** The calls to a peer that following a task takes. All of them reject when their signal aborts. */
export interface TaskCalls {
  /** Sends the message, or starts to follow the task. */
  open(signal: AbortSignal): Promise<UpdateStream>;
  /** Follows the task again; `undefined` if the peer cannot do that. */
  subscribe: ((taskId: string, signal: AbortSignal) => Promise<UpdateStream>) | undefined;
  /** The task as it stands, as a `task` event. */
  snapshot(taskId: string, signal: AbortSignal): Promise<A2AEvent>;
  /** Asks the peer to cancel the task. */
  cancel(taskId: string): Promise<void>;
}

/** How a task is followed. */
export interface FollowOptions {
  where: string;
  limits: Readonly<Limits>;
  /** Id of the task if it is known before the first update. */
  taskId?: string | undefined;
  /** Whether artifacts in the first snapshot are of an earlier turn, so that they are not given out as chunks. */
  continues?: boolean;
  /** Cancels the task, too. */
  signal?: AbortSignal | undefined;
  /** Longest time the task may take, in milliseconds, beside `limits.totalMs`. */
  maxDurationMs?: number | undefined;
  /** Told when the first request goes out, and when the stream is over, however it ends. */
  onStart?: () => void;
  onEnd?: () => void;
}
