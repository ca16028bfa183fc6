import { type Agent, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction, Socket } from "node:net";
import type { Call } from "./call.js";
import { connectionFailure, protocolError } from "./connection-failure.js";
import type { Limits } from "./limits.js";
import type { NetworkPolicy } from "./network-policy.js";
import type { OutgoingRequest } from "./outgoing-request.js";

/** The answer as far as its headers, or the failure. */
export type Outcome =
  | { message: IncomingMessage }
  | { failure: unknown /** On a kept connection that the peer had closed meanwhile. */; stale: boolean };

/**
 * Sends one request and waits for the headers of the answer. The connection goes to an address that the policy
 * allowed and to no other: names are resolved once, by us, for each connection. Redirects are answers like others.
 */
export function exchange(
  call: Call,
  { url, method, headers, body }: OutgoingRequest,
  agent: Agent,
  policy: NetworkPolicy,
  limits: Limits,
): Promise<Outcome> {
  const secure = url.protocol === "https:";
  return new Promise((resolve) => {
    const request = (secure ? requestHttps : requestHttp)(url, {
      method,
      headers,
      agent,
      lookup: pinnedLookup(url, policy),
    });
    const stop = () => request.destroy();
    const connected = call.arm("connect", limits.connectMs);
    const answered = call.arm("headers", limits.headersMs);
    const conclude = (outcome: Outcome) => {
      connected();
      answered();
      resolve(outcome);
    };
    const fail = (error: unknown) => {
      const stale = request.reusedSocket && !call.signal.aborted;
      conclude({ failure: call.reason(connectionFailure(url, error)), stale });
      call.signal.removeEventListener("abort", stop);
    };
    request.once("socket", (socket: Socket) => {
      if (!socket.connecting && request.reusedSocket) connected();
      else socket.once(secure ? "secureConnect" : "connect", connected);
    });
    request.once("response", (message) => {
      message.once("close", () => call.signal.removeEventListener("abort", stop));
      conclude({ message });
    });
    request.once("upgrade", (_message, socket) => {
      socket.destroy();
      fail(protocolError(url, "the peer changed to another protocol"));
    });
    // Stays for errors after the answer has begun: those reach the reader through the message.
    request.on("error", fail);
    call.signal.addEventListener("abort", stop, { once: true });
    if (call.signal.aborted) stop();
    request.end(body);
  });
}

/** A lookup that gives only addresses the policy allows, all of them, so that the fastest family wins. */
function pinnedLookup(url: URL, policy: NetworkPolicy): LookupFunction {
  return (_hostname, options, callback) => {
    policy.resolve(url).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all) callback(null, addresses);
        else callback(null, first?.address ?? "", first?.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}
