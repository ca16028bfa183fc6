import type { ServerResponse } from "node:http";
import { nextTurn } from "../turns.js";

/** Silence after which a comment tells the caller, and what is between, that the connection is alive. */
const HEARTBEAT_MS = 15_000;

/** Longest piece of work between two turns of the event loop, in milliseconds. */
const SLICE_MS = 1;

/** The callers of running tasks that read more slowly than their task writes. */
export class SlowReaders {
  readonly #waiting = new Map<string, Promise<void>>();

  /** Resolves when the caller of a task has caught up; `undefined` if it has. */
  ready(taskId: string): Promise<void> | undefined {
    return this.#waiting.get(taskId);
  }

  /** Waits until a response takes more, or its caller has gone. */
  async wait(taskId: string | undefined, response: ServerResponse): Promise<void> {
    const drained = new Promise<void>((resolve) => {
      const done = () => {
        response.off("drain", done);
        response.off("close", done);
        resolve();
      };
      response.on("drain", done);
      response.on("close", done);
    });
    if (taskId !== undefined) this.#waiting.set(taskId, drained);
    await drained;
    if (taskId !== undefined && this.#waiting.get(taskId) === drained) this.#waiting.delete(taskId);
  }
}

/** What {@link sendEvents} writes. */
export interface OutgoingEvent {
  /** The frame, ready to be sent. */
  frame: string;
  taskId: string | undefined;
}

/**
 * Writes a stream of events. A caller that goes away does not end the task: its updates are taken to their end all the
 * same, because taking them is what keeps the stored task up to date for callers that come back.
 */
export async function sendEvents(
  response: ServerResponse,
  events: AsyncIterable<OutgoingEvent>,
  slow: SlowReaders,
): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(":\n\n");
  }, HEARTBEAT_MS).unref();
  response.on("close", () => clearInterval(heartbeat));
  let sliceStart = performance.now();
  try {
    for await (const { frame, taskId } of events) {
      if (!response.destroyed && !response.write(frame)) await slow.wait(taskId, response);
      if (performance.now() - sliceStart > SLICE_MS) {
        await nextTurn();
        sliceStart = performance.now();
      }
    }
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

/** A server-sent event. */
export function frame(data: unknown, event?: string): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}
