import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import type { Call } from "./call.js";
import { statusError } from "./grpc-status.js";
import { type Limits, limitExceeded } from "./limits.js";

/** Messages of a stream of answers, as they come in. */
export interface MessageStream {
  /** Those that are there, at least one; `undefined` at the end. */
  next(): Promise<readonly Buffer[] | undefined>;
  /** Ends the call. */
  cancel(): void;
}

/** Messages that are taken from a stream at a time. */
const BATCH = 64;

/** The messages of one call, within its limits. Pull based: what is not asked for stays with the sender. */
export class GuardedMessages implements MessageStream {
  readonly #call: Call;
  readonly #stream: ClientReadableStream<Buffer>;
  readonly #url: URL;
  readonly #limits: Readonly<Limits>;
  readonly #limit: "bodyBytes" | "eventBytes";
  #bytes = 0;
  #failure: ServiceError | undefined;
  #hasEnded = false;
  #wake: (() => void) | undefined;

  constructor(
    call: Call,
    stream: ClientReadableStream<Buffer>,
    url: URL,
    limits: Readonly<Limits>,
    limit: "bodyBytes" | "eventBytes",
  ) {
    this.#call = call;
    this.#stream = stream;
    this.#url = url;
    this.#limits = limits;
    this.#limit = limit;
    stream.on("error", (error: ServiceError) => {
      this.#failure = error;
    });
    stream.once("end", () => {
      this.#hasEnded = true;
    });
    const wake = () => this.#wake?.();
    for (const event of ["readable", "end", "error", "close"]) stream.on(event, wake);
    call.signal.addEventListener("abort", wake, { once: true });
  }

  async next(): Promise<readonly Buffer[] | undefined> {
    const arrived = this.#call.arm("idle", this.#limits.idleMs);
    try {
      for (;;) {
        this.#call.signal.throwIfAborted();
        const messages = this.#read();
        if (messages.length > 0) return messages;
        if (this.#failure !== undefined) throw statusError(this.#url, this.#failure, true);
        if (this.#hasEnded || this.#stream.destroyed) {
          this.#call.end();
          return undefined;
        }
        await this.#change();
      }
    } catch (error) {
      const failure = this.#call.reason(error);
      this.#call.fail(failure);
      throw failure;
    } finally {
      arrived();
    }
  }

  cancel(): void {
    this.#call.end();
    this.#stream.cancel();
  }

  #read(): Buffer[] {
    const messages: Buffer[] = [];
    while (messages.length < BATCH) {
      const message: Buffer | null = this.#stream.read();
      if (message === null) break;
      const most = this.#limits[this.#limit];
      if (message.length > most) throw limitExceeded(this.#limit, `a message of more than ${most} bytes`);
      this.#bytes += message.length;
      const { streamBytes } = this.#limits;
      if (this.#limit === "eventBytes" && this.#bytes > streamBytes) {
        throw limitExceeded("streamBytes", `more than ${streamBytes} bytes`);
      }
      messages.push(message);
    }
    return messages;
  }

  /** Resolves when there is something to read, an end, or a failure. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
