import { A2AError } from "../../errors.js";

/** Longest wait that a peer's `Retry-After` can ask for. */
const LONGEST_RETRY_MS = 60_000;

/**
 * A response, unless its status says that the request never reached the agent.
 *
 * @throws {@link A2AError} `PEER_BUSY` (429, 503), `PEER_UNREACHABLE` (502, 504) or `AUTH_REFUSED` (401, 403); of busy
 * peers `context.retryAfterMs` says how long they want to be left alone
 */
export function guardedStatus(response: Response): Response {
  const { status } = response;
  if (status === 429 || status === 503) {
    discard(response);
    throw new A2AError(`The peer is busy (HTTP status ${status})`, {
      code: "PEER_BUSY",
      category: "transient",
      context: { status, retryAfterMs: retryAfterMs(response.headers.get("retry-after")) },
    });
  }
  if (status === 502 || status === 504) {
    discard(response);
    throw new A2AError(`A gateway cannot reach the peer (HTTP status ${status})`, {
      code: "PEER_UNREACHABLE",
      category: "infrastructure",
      context: { status },
    });
  }
  if (status === 401 || status === 403) {
    discard(response);
    throw new A2AError(`The peer refuses the credentials (HTTP status ${status})`, {
      code: "AUTH_REFUSED",
      context: { status },
      hint: "see card.securitySchemes for what the peer expects, and the option 'auth'",
    });
  }
  return response;
}

/** Seconds or a date (RFC 9110, 10.2.3) as milliseconds from now. */
export function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), LONGEST_RETRY_MS) : undefined;
}

/** The connection is of no use until its body is read or given up. */
function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}
