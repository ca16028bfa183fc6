import type { ServerResponse } from "node:http";
import { nextTurn } from "../../turns.js";

/** Silence after which a comment tells the caller, and what is between, that the connection is alive. */
const HEARTBEAT_MS = 15_000;

/** Longest piece of work between two turns of the event loop, in milliseconds. */
const SLICE_MS = 1;

/**
 * Writes a stream of events. A caller that goes away does not end the task: its updates are taken to their end all the
 * same, because taking them is what keeps the stored task up to date for callers that come back.
 */
export async function sendEvents(response: ServerResponse, frames: AsyncIterable<string>): Promise<void> {
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
    for await (const frame of frames) {
      if (!response.destroyed && !response.write(frame)) await drained(response);
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

/** Resolves when a response takes more, or its caller has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** A server-sent event. */
export function frame(data: unknown, event?: string): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}
