import type { Message, Task } from "@a2a-js/sdk";
import type { UpdateStream } from "./peer-wire.js";
import { type A2AEvent, taskEvent, toEvent } from "./task-event.js";

/** The answer of a peer that does not stream, as a stream: the rest of a task comes from asking after it. */
export function answerStream(answer: Message | Task): UpdateStream {
  const isMessage = "messageId" in answer;
  return replayed(isMessage ? toEvent({ payload: { $case: "message", value: answer } }) : taskEvent(answer));
}

/** A stream of one update, which then ends like a connection does. */
export function replayed(event: A2AEvent): UpdateStream {
  let rest: A2AEvent[] | undefined = [event];
  return {
    next: async () => {
      const now = rest;
      rest = undefined;
      return now;
    },
    read: (raw) => raw,
    cancel: async () => {},
  } satisfies UpdateStream<A2AEvent> as UpdateStream;
}
