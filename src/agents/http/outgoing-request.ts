import { A2AError } from "../../errors.js";

/** A request of a caller in the form it goes out in. */
export interface OutgoingRequest {
  url: URL;
  method: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: Uint8Array | string | undefined;
  redirect: "follow" | "error" | "manual";
}

/** What the connection is made of is not for callers to say. */
const RESERVED_HEADERS = [
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/**
 * Reads the arguments of `fetch`.
 *
 * @throws {@link A2AError} `URL_REFUSED` when there is no URL
 */
export async function prepareRequest(
  input: string | URL | Request,
  init: RequestInit,
): Promise<OutgoingRequest> {
  const given = input instanceof Request ? input.url : String(input);
  if (!URL.canParse(given))
    throw new A2AError("The URL of the peer cannot be parsed", { code: "URL_REFUSED" });
  const url = new URL(given);
  url.hash = "";
  const body = init.body ?? undefined;
  if (input instanceof Request || !isBytesOrText(body)) return fromRequest(url, input, init);
  const headers = new Headers(init.headers);
  if (typeof body === "string" && !headers.has("content-type")) {
    headers.set("content-type", "text/plain;charset=UTF-8");
  }
  return {
    url,
    method: (init.method ?? "GET").toUpperCase(),
    headers: requestHeaders(headers, body),
    body,
    redirect: init.redirect ?? "follow",
  };
}

function isBytesOrText(body: unknown): body is Uint8Array | string | undefined {
  return body === undefined || typeof body === "string" || body instanceof Uint8Array;
}

/** Every other kind of body: the platform knows which bytes and which type it becomes. */
async function fromRequest(
  url: URL,
  input: string | URL | Request,
  init: RequestInit,
): Promise<OutgoingRequest> {
  // Without its signal, which ends the call itself, not the reading of its body.
  const { signal: _, ...rest } = init;
  const request = new Request(input instanceof Request ? input : url, {
    ...rest,
    duplex: "half",
  } as RequestInit);
  const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
  const { method, redirect } = request;
  return { url, method, headers: requestHeaders(request.headers, body), body, redirect };
}

function requestHeaders(headers: Headers, body: Uint8Array | string | undefined): Record<string, string> {
  const fields = Object.fromEntries(headers);
  for (const name of RESERVED_HEADERS) delete fields[name];
  fields.accept ??= "*/*";
  fields["user-agent"] ??= "rulake";
  // Events are small and shall arrive when they happen: compressors hold them back.
  fields["accept-encoding"] ??= fields.accept.includes("text/event-stream")
    ? "identity"
    : "gzip, deflate, br";
  if (body !== undefined) fields["content-length"] = String(Buffer.byteLength(body));
  return fields;
}
