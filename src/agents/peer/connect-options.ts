import { checkOptions, checkSignal, invalidOption } from "../../options.js";
import type { TrustOptions, Verify } from "../card/trust.js";
import type { AuthOptions } from "../http/credentials.js";
import type { GuardedFetchOptions } from "../http/guarded-fetch.js";
import type { Limits } from "../http/limits.js";
import type { NetworkOptions } from "../http/network-policy.js";
import type { Binding, ProtocolChoice } from "./peer-interface.js";

/** Options of {@link A2APeer.connect}. */
export interface ConnectOptions {
  /** Whether the card must be signed by somebody trusted. Default `"require"`; for agents on this machine `"if-present"`. */
  verify?: Verify;
  /** Whose signatures count. */
  trust?: TrustOptions;
  /** Credentials, which only the origin of the given URL gets. */
  auth?: AuthOptions;
  /** Which places may be talked to. Default: public addresses, over https. */
  network?: NetworkOptions;
  /** What the peer may cost. */
  limits?: Partial<Limits>;
  /** Authorities that certify servers, instead of those Node.js knows. */
  tls?: GuardedFetchOptions["tls"];
  /** Default `"auto"`: 1.0, or 0.3 of agents that offer nothing else. */
  protocol?: ProtocolChoice;
  /**
   * How messages may travel. Default: JSON-RPC and REST, and gRPC of agents that offer nothing else. `"GRPC"` needs
   * `@grpc/grpc-js` and `@bufbuild/protobuf`; it is guarded as the others are.
   */
  bindings?: readonly Binding[];
  /** Ends the attempt. */
  signal?: AbortSignal;
}

const NAMES = ["verify", "trust", "auth", "network", "limits", "tls", "protocol", "bindings", "signal"];
const BINDINGS: readonly Binding[] = ["JSONRPC", "HTTP+JSON", "GRPC"];
const PROTOCOLS: readonly ProtocolChoice[] = ["auto", "1.0", "0.3"];

/**
 * The choice of protocol and bindings; other options are checked by what they are for.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 */
export function readConnectOptions(
  options: ConnectOptions,
  where: string,
): { protocol: ProtocolChoice; bindings: readonly Binding[] | undefined } {
  checkOptions(options, NAMES, where);
  checkSignal(options.signal, where);
  const { protocol = "auto", bindings } = options;
  if (!PROTOCOLS.includes(protocol))
    throw invalidOption(where, "protocol", `"auto", "1.0" or "0.3"`, protocol);
  if (
    bindings !== undefined &&
    !(Array.isArray(bindings) && bindings.length > 0 && bindings.every((each) => BINDINGS.includes(each)))
  ) {
    throw invalidOption(
      where,
      "bindings",
      `some of ${BINDINGS.map((each) => `"${each}"`).join(", ")}`,
      bindings,
    );
  }
  return { protocol, bindings };
}
