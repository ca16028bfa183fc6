import type { IncomingMessage } from "node:http";
import { checkEncoding, checkLength, guardedBody } from "./body.js";
import type { Call } from "./call.js";
import { protocolError } from "./connection-failure.js";
import type { Limits } from "./limits.js";
import type { OutgoingRequest } from "./outgoing-request.js";

/** Statuses whose answers have no body, whatever they say. */
const BODILESS = new Set([204, 205, 304]);

/**
 * An answer as `fetch` gives it, with a guarded body.
 *
 * @throws {@link A2AError} `PROTOCOL_ERROR`, `RESPONSE_TOO_LARGE`
 */
export function createResponse(
  call: Call,
  request: OutgoingRequest,
  message: IncomingMessage,
  limits: Limits,
  redirected: boolean,
): Response {
  const { url } = request;
  try {
    const status = message.statusCode ?? 0;
    if (status < 200 || status > 599) throw protocolError(url, `the status is ${status}`);
    const statusText = /^[\t\x20-\x7e]*$/.test(message.statusMessage ?? "")
      ? (message.statusMessage ?? "")
      : "";
    const init = { status, statusText, headers: responseHeaders(message) };
    const response = new Response(bodyOf(call, request, message, limits), init);
    Object.defineProperties(response, { url: { value: url.href }, redirected: { value: redirected } });
    return response;
  } catch (error) {
    message.destroy();
    throw error;
  }
}

function bodyOf(
  call: Call,
  request: OutgoingRequest,
  message: IncomingMessage,
  limits: Limits,
): ReadableStream<Uint8Array> | null {
  if (request.method === "HEAD" || BODILESS.has(message.statusCode ?? 0)) {
    message.resume();
    call.end();
    return null;
  }
  checkEncoding(request.url, message);
  checkLength(request, message, limits);
  return guardedBody(call, request, message, limits);
}

function responseHeaders({ rawHeaders, headers }: IncomingMessage): Headers {
  const fields = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    fields.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  // The body is decompressed: these spoke of it as it was sent.
  if (headers["content-encoding"] !== undefined) {
    fields.delete("content-encoding");
    fields.delete("content-length");
  }
  return fields;
}
