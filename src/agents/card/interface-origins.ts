import { A2AError } from "../../errors.js";
import { addressRange } from "../http/address-range.js";
import type { AgentInterface } from "./agent-card.js";

/**
 * The interfaces of an unsigned card that may be used: those at its own origin, and at origins that the caller listed.
 * Whoever can change a card on the way could otherwise send requests, and what is in them, anywhere.
 *
 * @throws {@link A2AError} `INTERFACE_REFUSED` when there is none
 */
export function ownInterfaces(
  interfaces: readonly AgentInterface[],
  card: URL,
  origins: ReadonlySet<string>,
): AgentInterface[] {
  const own = interfaces.filter(({ url }) => {
    const place = placeOfInterface(url);
    return place !== undefined && (isSamePlace(place, card) || origins.has(place.origin));
  });
  if (own.length > 0) return own;
  throw new A2AError("All interfaces of the agent are elsewhere than its card, which nobody has signed", {
    code: "INTERFACE_REFUSED",
    context: {
      card: card.origin,
      interfaces: [...new Set(interfaces.map(({ url }) => placeOfInterface(url)?.origin))],
    },
    hint: "List their origins in trust.origins if they belong to the agent.",
  });
}

/**
 * Where an interface is; `undefined` if that is nowhere. Those of gRPC are often `host:port`, which means TLS; on this
 * machine, where programs have no certificates, HTTP/2 without it.
 */
export function placeOfInterface(url: string): URL | undefined {
  if (!/^([\w.-]+|\[[\da-f:.]+\]):\d+$/i.test(url)) return URL.canParse(url) ? new URL(url) : undefined;
  const [plain, secure] = [`http://${url}`, `https://${url}`];
  if (!URL.canParse(secure)) return undefined;
  return isLoopback(new URL(plain)) ? new URL(plain) : new URL(secure);
}

function isSamePlace(place: URL, card: URL): boolean {
  if (place.origin === card.origin) return true;
  // Programs on this machine call themselves localhost, 127.0.0.1 or 0.0.0.0, whatever they were asked by.
  return (
    place.port === card.port && place.protocol === card.protocol && isLoopback(place) && isLoopback(card)
  );
}

/** Whether a URL names this machine without asking DNS. */
export function isLoopback({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  return host === "localhost" || host.endsWith(".localhost") || addressRange(host) === "loopback";
}
