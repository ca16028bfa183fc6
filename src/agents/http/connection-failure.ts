import { A2AError, RuLakeError } from "../../errors.js";
import { placeOf } from "./network-policy.js";

/** Codes of Node.js and OpenSSL for a certificate that does not hold or a handshake that fails. */
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|EPROTO$)/;

/** Codes of an address that nobody answers at. */
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** What a failure of the connection means; our own errors pass as they are. */
export function connectionFailure(url: URL, cause: unknown): unknown {
  if (RuLakeError.isInstance(cause)) return cause;
  const code = codeOf(cause);
  const context = { url: placeOf(url), ...(code === undefined ? {} : { reason: code }) };
  if (code !== undefined && TLS_CODE.test(code)) {
    return new A2AError(`${url.origin}: no trust in the TLS connection (${code})`, {
      code: "TLS_FAILED",
      context,
      hint: "Give the authority of its certificate as tls: { ca } or auth: { mtls: { ca } }.",
      cause,
    });
  }
  if (code !== undefined && UNREACHABLE.has(code)) {
    return new A2AError(`${url.origin} cannot be reached (${code})`, {
      code: "PEER_UNREACHABLE",
      category: "infrastructure",
      context,
      cause,
    });
  }
  if (code?.startsWith("HPE_") || code?.startsWith("Z_") || code?.startsWith("ERR_")) {
    if (code !== "ERR_STREAM_PREMATURE_CLOSE")
      return protocolError(url, `the answer is malformed (${code})`, cause);
  }
  return new A2AError(`${url.origin} cut the connection${code === undefined ? "" : ` (${code})`}`, {
    code: "CONNECTION_LOST",
    category: "transient",
    context,
    cause,
  });
}

/** The peer's HTTP cannot be understood. */
export function protocolError(url: URL, why: string, cause?: unknown): A2AError {
  return new A2AError(`${placeOf(url)}: ${why}`, {
    code: "PROTOCOL_ERROR",
    context: { url: placeOf(url) },
    cause,
  });
}

function codeOf(error: unknown): string | undefined {
  const own = (error as { code?: unknown } | null)?.code;
  if (typeof own === "string") return own;
  // All addresses of a host were tried.
  const first: unknown = (error as { errors?: unknown[] } | null)?.errors?.[0];
  return first === undefined ? undefined : codeOf(first);
}
