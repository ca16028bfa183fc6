import type { IncomingMessage } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { Call } from "./call.js";
import { connectionFailure, protocolError } from "./connection-failure.js";
import { JsonScan, parseJson } from "./json-scan.js";
import { type Limits, limitExceeded } from "./limits.js";
import type { OutgoingRequest } from "./outgoing-request.js";

/**
 * The body of an answer, decompressed and guarded. Pull based: nothing is read from the socket unless the reader
 * asks, and cancelling closes the socket. Bytes are counted after decompression, so that a bomb costs no more than
 * the limit.
 */
export function guardedBody(
  call: Call,
  { url, headers }: OutgoingRequest,
  message: IncomingMessage,
  limits: Limits,
): ReadableStream<Uint8Array> {
  const pieces: AsyncIterator<Buffer> = decoded(url, message)[Symbol.asyncIterator]();
  const admit = admission(kindOf(message, headers.accept), limits);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const arrived = call.arm("idle", limits.idleMs);
        try {
          const { done, value } = await pieces.next();
          call.signal.throwIfAborted();
          if (!done) {
            admit(value);
            controller.enqueue(value);
            return;
          }
          if (!message.complete) throw connectionFailure(url, undefined);
          controller.close();
          call.end();
        } catch (error) {
          const failure = call.reason(connectionFailure(url, error));
          call.fail(failure);
          message.destroy();
          throw failure;
        } finally {
          arrived();
        }
      },
      cancel() {
        call.end();
        message.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

/** @throws {@link A2AError} `PROTOCOL_ERROR` for an encoding that was not asked for, several in a row included. */
export function checkEncoding(url: URL, message: IncomingMessage): void {
  const encoding = encodingOf(message);
  if (encoding !== "identity" && !(encoding in DECODERS)) {
    throw protocolError(url, "the answer has an encoding that was not asked for");
  }
}

/** @throws {@link A2AError} `RESPONSE_TOO_LARGE` when the headers announce more than is allowed */
export function checkLength({ headers }: OutgoingRequest, message: IncomingMessage, limits: Limits): void {
  const announced = Number(message.headers["content-length"] ?? 0);
  const { limit, bytes } = largestBody(kindOf(message, headers.accept), limits);
  if (announced > bytes) throw limitExceeded(limit, `${announced} bytes are announced, ${bytes} allowed`);
}

/**
 * The whole body.
 *
 * @throws {@link A2AError} `RESPONSE_TOO_LARGE`
 */
export async function readBytes(response: Response, largest: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    length += piece.length;
    if (length > largest) throw limitExceeded("bodyBytes", `more than ${largest} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}

/**
 * The whole body as JSON.
 *
 * @throws {@link A2AError} `RESPONSE_TOO_LARGE` or `JSON_REFUSED`
 */
export async function readJson(response: Response, largest: number, maxDepth: number): Promise<unknown> {
  return parseJson(await readBytes(response, largest), maxDepth);
}

const DECODERS = {
  gzip: () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  "x-gzip": () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: () => createInflate({ finishFlush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }),
};

function encodingOf(message: IncomingMessage): string {
  return message.headers["content-encoding"]?.trim().toLowerCase() || "identity";
}

function decoded(url: URL, message: IncomingMessage): Readable {
  checkEncoding(url, message);
  const encoding = encodingOf(message);
  if (encoding === "identity") return message;
  const decoder = DECODERS[encoding as keyof typeof DECODERS]();
  // Errors of either side reach the reader through the decoder.
  return pipeline(message, decoder, () => {});
}

/** What a body is guarded as. */
type BodyKind = "events" | "json" | "other";

/**
 * The type that the peer claims does not loosen anything: a stream of events is one only if it was asked for, and what
 * was asked for as JSON is looked at as JSON, since it will be parsed as that.
 */
function kindOf(message: IncomingMessage, accept = ""): BodyKind {
  const type = message.headers["content-type"] ?? "";
  const isAskedFor = (wanted: RegExp) => accept.split(",").some((each) => wanted.test(each));
  if (EVENTS.test(type) && isAskedFor(EVENTS)) return "events";
  return JSON_TYPE.test(type) || isAskedFor(JSON_TYPE) ? "json" : "other";
}

const EVENTS = /^\s*text\/event-stream\s*(;|$)/i;
const JSON_TYPE = /^\s*[\w.-]+\/([\w.-]+\+)?json\s*(;|$)/i;

function largestBody(kind: BodyKind, limits: Limits): { limit: keyof Limits; bytes: number } {
  const limit = kind === "events" ? "streamBytes" : "bodyBytes";
  return { limit, bytes: limits[limit] };
}

/** Checks each piece before the reader gets it. */
function admission(kind: BodyKind, limits: Limits): (piece: Buffer) => void {
  const { limit, bytes } = largestBody(kind, limits);
  const events = kind === "events";
  const isLooked = events ? limits.jsonDepth < Number.MAX_SAFE_INTEGER : kind === "json";
  const json = isLooked ? new JsonScan(limits.jsonDepth, events) : undefined;
  let length = 0;
  return (piece) => {
    length += piece.length;
    if (length > bytes) throw limitExceeded(limit, `more than ${bytes} bytes`);
    json?.push(piece);
  };
}
