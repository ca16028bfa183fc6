import type { IncomingMessage, ServerResponse } from "node:http";
import { A2AError } from "../../errors.js";
import { parseJson } from "../http/json-scan.js";

/** An answer by status, instead of one in the terms of the protocol. */
export class HttpRefusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/**
 * The JSON object that a request carries; `{}` without a body.
 *
 * @throws {@link HttpRefusal} 413, 415
 * @throws {@link A2AError} `JSON_REFUSED`
 */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  maxDepth: number,
): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new HttpRefusal(413, `more than ${maxBytes} bytes`, { connection: "close" });
    chunks.push(chunk);
  }
  if (length === 0) return {};
  // Any other type could be sent by a web page without asking: what browsers call a simple request.
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json" && type !== "application/a2a+json") {
    throw new HttpRefusal(415, "the content type must be application/json");
  }
  const body = parseJson(Buffer.concat(chunks), maxDepth);
  if (typeof body === "object" && body !== null && !Array.isArray(body))
    return body as Record<string, unknown>;
  throw new A2AError("The body is no JSON object", { code: "JSON_REFUSED" });
}

/** Ends a request with JSON. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(text);
}
