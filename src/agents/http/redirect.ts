import type { IncomingMessage } from "node:http";
import { A2AError } from "../../errors.js";
import { placeOf } from "./network-policy.js";
import type { OutgoingRequest } from "./outgoing-request.js";

const STATUSES = new Set([301, 302, 303, 307, 308]);
const MOST_IN_A_ROW = 3;

/** The place an answer redirects to, or `undefined` when it is no redirect. */
export function redirection({ statusCode, headers }: IncomingMessage): string | undefined {
  return STATUSES.has(statusCode ?? 0) ? headers.location : undefined;
}

/**
 * Where to go on: within the origin, and only for requests that may be sent twice.
 *
 * @param before - redirects that this request has followed already
 * @throws {@link A2AError} `REDIRECT_REFUSED`
 */
export function redirectTarget(
  { url, method, redirect }: OutgoingRequest,
  location: string,
  before: number,
): URL {
  const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (target === undefined) throw redirectRefused(url, "its target is no URL");
  if (redirect === "error") throw redirectRefused(url, "the caller wants none");
  if (method !== "GET" && method !== "HEAD") throw redirectRefused(url, `a ${method} is not sent twice`);
  if (target.origin !== url.origin)
    throw redirectRefused(url, `it leads to another origin, ${target.origin}`);
  if (before >= MOST_IN_A_ROW) throw redirectRefused(url, `it is number ${before + 1} in a row`);
  target.hash = "";
  return target;
}

/** The error for a redirect that is not followed. */
export function redirectRefused(url: URL, why: string): A2AError {
  return new A2AError(`${placeOf(url)} answers with a redirect that is refused: ${why}`, {
    code: "REDIRECT_REFUSED",
    context: { url: placeOf(url) },
    hint: "Use the address that it redirects to, if you trust it.",
  });
}
