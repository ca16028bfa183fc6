import { createParser, type EventSourceMessage } from "eventsource-parser";
import { limitExceeded } from "../http/limits.js";

/**
 * Reads the events of a `text/event-stream` body, a chunk of the connection at a time. The body is read only when asked,
 * so a slow consumer slows the sender down. Line ends may be LF, CR LF or CR; an event that the connection cut short is
 * never given out (WHATWG HTML, "Server-sent events").
 */
export class SseReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #parser: ReturnType<typeof createParser>;
  readonly #eventBytes: number;
  #events: EventSourceMessage[] = [];
  #afterReturn = false;
  #isTooLarge = false;

  /** @param eventBytes - length from which an event is refused */
  constructor(body: ReadableStream<Uint8Array>, eventBytes: number) {
    this.#reader = body.getReader();
    this.#eventBytes = eventBytes;
    this.#parser = createParser({
      maxBufferSize: eventBytes,
      onEvent: (event) => this.#events.push(event),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") this.#isTooLarge = true;
      },
    });
  }

  /**
   * The events of the next chunk that has any; `undefined` at the end of the body.
   *
   * @throws {@link A2AError} `RESPONSE_TOO_LARGE`, and what reading the body throws
   */
  async next(): Promise<EventSourceMessage[] | undefined> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#feed(this.#decoder.decode(value, { stream: true }));
      if (this.#isTooLarge)
        throw limitExceeded("eventBytes", `an event has more than ${this.#eventBytes} bytes`);
      if (this.#events.length === 0) continue;
      const events = this.#events;
      this.#events = [];
      return events;
    }
  }

  /** Ends the connection. */
  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }

  /**
   * All line ends become LF: after a CR the parser waits for more, to see whether it is a CR LF, and would hold back the
   * last event of senders that end lines with CR alone.
   */
  #feed(text: string): void {
    if (text === "") return;
    const rest = this.#afterReturn && text.startsWith("\n") ? text.slice(1) : text;
    this.#afterReturn = text.endsWith("\r");
    this.#parser.feed(rest.includes("\r") ? rest.replace(/\r\n?/g, "\n") : rest);
  }
}
