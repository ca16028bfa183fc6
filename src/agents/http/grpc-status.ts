import type { ServiceError } from "@grpc/grpc-js";
import { A2AError } from "../../errors.js";
import { protocolError } from "./connection-failure.js";
import { placeOf } from "./network-policy.js";

/** Numbers of the statuses of gRPC that stand for more than a failed agent. */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** What the library says of a message that it did not take in, and of a connection that is no more. */
const TOO_LARGE = /^Received message (?:larger than max|that decompresses to a size larger)/;
const NO_TRUST = /certificate|altnames|self.signed|\bTLS\b|\bSSL\b/i;
const CUT = /^(?:Connection dropped|Received RST_STREAM|Call ended without)/;

/**
 * A status that is about the connection, the credentials or the size of an answer, as an error of this package. What the
 * service itself says comes back as it is.
 *
 * @param isAnswered - the answer had begun
 */
export function statusError(url: URL, error: ServiceError, isAnswered: boolean): unknown {
  const { code, details = "" } = error;
  const context = { url: placeOf(url), status: code };
  if (code === UNAVAILABLE && NO_TRUST.test(details)) {
    return new A2AError(`${url.origin}: no trust in the TLS connection`, {
      code: "TLS_FAILED",
      context,
      hint: "Give the authority of its certificate as tls: { ca } or auth: { mtls: { ca } }.",
      cause: error,
    });
  }
  if (code === UNAVAILABLE && !isAnswered && details.startsWith("No connection established")) {
    return new A2AError(`${url.origin} cannot be reached`, {
      code: "PEER_UNREACHABLE",
      category: "infrastructure",
      context,
      cause: error,
    });
  }
  if (code === UNAVAILABLE || code === CANCELLED || CUT.test(details)) {
    return new A2AError(`${url.origin} cut the connection`, {
      code: "CONNECTION_LOST",
      category: "transient",
      context,
      cause: error,
    });
  }
  if (TOO_LARGE.test(details)) {
    return new A2AError("The peer sends too much: a message is larger than is allowed", {
      code: "RESPONSE_TOO_LARGE",
      context: { limit: "bodyBytes" },
      hint: "Raise limits.bodyBytes or limits.eventBytes if that much is expected.",
    });
  }
  if (code === RESOURCE_EXHAUSTED) {
    return new A2AError("The peer is busy (RESOURCE_EXHAUSTED)", {
      code: "PEER_BUSY",
      category: "transient",
      context,
    });
  }
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED) {
    return new A2AError("The peer refuses the credentials", {
      code: "AUTH_REFUSED",
      context,
      hint: "see card.securitySchemes for what the peer expects, and the option 'auth'",
    });
  }
  if (code === DEADLINE_EXCEEDED) {
    return new A2AError(`${placeOf(url)} gave up: it took too long`, {
      code: "DEADLINE_EXCEEDED",
      category: "transient",
      context,
    });
  }
  if (code === UNIMPLEMENTED) {
    return new A2AError(`${placeOf(url)} does not have this call`, {
      code: "UNSUPPORTED_OPERATION",
      context,
    });
  }
  if (typeof code !== "number") return protocolError(url, "the answer is malformed", error);
  return error;
}
