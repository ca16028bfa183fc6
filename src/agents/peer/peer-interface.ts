import { A2AError } from "../../errors.js";
import type { AgentInterface } from "../card/agent-card.js";

/** Which versions of the protocol may be spoken: `"auto"` prefers 1.0 and falls back to 0.3. */
export type ProtocolChoice = "auto" | "1.0" | "0.3";

/** How messages travel. */
export type Binding = "JSONRPC" | "HTTP+JSON" | "GRPC";

const HTTP: readonly Binding[] = ["JSONRPC", "HTTP+JSON"];
const GRPC: readonly Binding[] = ["GRPC"];

/** One way to reach a peer, as its card offers it. */
export interface PeerInterface {
  url: string;
  binding: Binding;
  protocolVersion: "1.0" | "0.3";
  tenant: string;
}

/**
 * The one of a card's interfaces that is spoken: 1.0 before 0.3, and within a version the order of the card, which is the
 * peer's preference (spec §8.3.2). Versions are compared by major and minor number, so that "1.0.0" counts.
 *
 * REST of protocol 0.3 is left out: it loses the append flag of artifacts, the kinds of errors and the names of files.
 * So is gRPC of 0.3, which nobody was found to serve.
 *
 * @param bindings - that may be spoken; by default JSON-RPC and REST, and gRPC where there is nothing else
 * @throws {@link A2AError} `PROTOCOL_NOT_SUPPORTED`
 */
export function chooseInterface(
  interfaces: readonly AgentInterface[],
  protocol: ProtocolChoice,
  bindings?: readonly Binding[],
): PeerInterface {
  const offers = bindings
    ? offersOf(interfaces, protocol, bindings)
    : ([HTTP, GRPC].map((each) => offersOf(interfaces, protocol, each)).find((each) => each.length > 0) ??
      []);
  const chosen = offers.find(({ protocolVersion }) => protocolVersion === "1.0") ?? offers[0];
  if (chosen !== undefined) return chosen;
  const offered = interfaces.map(
    ({ protocolBinding, protocolVersion }) => `${protocolBinding} ${protocolVersion}`,
  );
  throw new A2AError(
    `The agent offers ${offered.join(", ") || "no interface"}, and of these none is spoken here` +
      (protocol === "auto" ? "" : ` with protocol ${protocol}`),
    {
      code: "PROTOCOL_NOT_SUPPORTED",
      context: { offered, protocol, ...(bindings && { bindings: [...bindings] }) },
      hint: "JSON-RPC, REST and gRPC of A2A 1.0 and JSON-RPC of A2A 0.3 are spoken",
    },
  );
}

function offersOf(
  interfaces: readonly AgentInterface[],
  protocol: ProtocolChoice,
  bindings: readonly Binding[],
): PeerInterface[] {
  return interfaces.flatMap((offer): PeerInterface[] => {
    const binding = bindings.find((each) => each === offer.protocolBinding.toUpperCase());
    const protocolVersion = versionOf(offer.protocolVersion);
    if (binding === undefined || protocolVersion === undefined) return [];
    if (protocolVersion === "0.3" && binding !== "JSONRPC") return [];
    if (protocol !== "auto" && protocol !== protocolVersion) return [];
    return [{ url: offer.url, binding, protocolVersion, tenant: offer.tenant ?? "" }];
  });
}

function versionOf(version: string): "1.0" | "0.3" | undefined {
  const [major, minor = "0"] = version.trim().split(".");
  if (major === "1" && minor === "0") return "1.0";
  return major === "0" && minor === "3" ? "0.3" : undefined;
}
