import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import { type AddressRange, addressRange } from "./address-range.js";

/** An address that a name leads to. */
export interface ResolvedAddress {
  address: string;
  family: 4 | 6;
}

/** Which places a remote agent may be at. Default: public addresses, over https. */
export interface NetworkOptions {
  /** Also this machine, over http too. Default `false`. */
  allowLoopback?: boolean;
  /** Also private networks, over http too. Default `false`. */
  allowPrivate?: boolean;
  /**
   * Hosts that may be at loopback and private addresses, over http too: `"agents.internal"`, with a port
   * (`"agents.internal:8080"`) or as an address (`"10.0.0.7"`, `"[fd00::7]"`). Whole names, no patterns.
   */
  allowHosts?: readonly string[];
  /** Asked instead of the resolver of the operating system. What it answers is checked just the same. */
  resolve?: (hostname: string) => Promise<readonly ResolvedAddress[]>;
}

const NAMES = ["allowLoopback", "allowPrivate", "allowHosts", "resolve"];

/** Decides over URLs and addresses. Link-local addresses, metadata services and reserved ranges are never allowed. */
export class NetworkPolicy {
  readonly #loopback: boolean;
  readonly #private: boolean;
  readonly #hosts: ReadonlySet<string>;
  readonly #resolve: (hostname: string) => Promise<readonly ResolvedAddress[]>;

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(options: NetworkOptions | undefined, where: string) {
    checkOptions(options, NAMES, `${where}: network`);
    for (const name of ["allowLoopback", "allowPrivate"] as const) {
      const value: unknown = options?.[name];
      if (value !== undefined && typeof value !== "boolean") {
        throw invalidOption(where, `network.${name}`, "a boolean", value);
      }
    }
    if (options?.resolve !== undefined && typeof options.resolve !== "function") {
      throw invalidOption(where, "network.resolve", "a function", options.resolve);
    }
    this.#loopback = options?.allowLoopback ?? false;
    this.#private = options?.allowPrivate ?? false;
    this.#hosts = new Set(allowedHosts(options?.allowHosts, where));
    this.#resolve = options?.resolve ?? ((hostname) => lookup(hostname, { all: true }) as never);
  }

  /**
   * Everything about a URL that can be decided before DNS.
   *
   * @throws {@link A2AError} `URL_REFUSED` or `ADDRESS_REFUSED`
   */
  checkUrl(url: URL): void {
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      throw refusedUrl(url, `the scheme '${url.protocol.slice(0, -1)}' is not https`);
    }
    if (url.username !== "" || url.password !== "") {
      throw refusedUrl(url, "it has credentials in it; give them as 'auth'");
    }
    const literal = bareHost(url);
    if (isIP(literal) !== 0) this.checkAddress(url, literal);
    else if (url.protocol === "http:" && !(this.#loopback || this.#private || this.#lists(url))) {
      throw refusedUrl(url, "http is neither secret nor authentic");
    }
  }

  /**
   * The addresses of a host that may be connected to: at least one.
   *
   * @throws {@link A2AError} `ADDRESS_REFUSED`, `URL_REFUSED` or `PEER_UNREACHABLE`
   */
  async resolve(url: URL): Promise<ResolvedAddress[]> {
    const host = bareHost(url);
    let found: readonly ResolvedAddress[];
    try {
      found = await this.#resolve(host);
    } catch (cause) {
      throw notFound(url, cause);
    }
    if (found.length === 0) throw notFound(url, undefined);
    let refusal: unknown;
    const allowed = found.filter(({ address }) => {
      try {
        this.checkAddress(url, address);
        return true;
      } catch (error) {
        refusal = error;
        return false;
      }
    });
    if (allowed.length === 0) throw refusal;
    return allowed.map(({ address }) => ({ address, family: isIP(address) as 4 | 6 }));
  }

  /** @throws {@link A2AError} `ADDRESS_REFUSED` or `URL_REFUSED` (http to a public address) */
  checkAddress(url: URL, address: string): void {
    const range = addressRange(address);
    if (range === "public") {
      if (url.protocol === "https:") return;
      throw refusedUrl(url, "http to a public address is neither secret nor authentic");
    }
    if (this.#allows(range) || (range !== "forbidden" && this.#lists(url))) return;
    throw new A2AError(`${url.host} is at ${address}, which is ${DESCRIPTIONS[range]}`, {
      code: "ADDRESS_REFUSED",
      context: { host: url.host, address, range },
      ...(HINTS[range] === undefined ? {} : { hint: HINTS[range] }),
    });
  }

  #allows(range: AddressRange): boolean {
    return (range === "loopback" && this.#loopback) || (range === "private" && this.#private);
  }

  #lists(url: URL): boolean {
    return this.#hosts.has(url.hostname) || this.#hosts.has(`${url.hostname}:${portOf(url)}`);
  }
}

const DESCRIPTIONS: Record<AddressRange, string> = {
  public: "public",
  private: "in a private network",
  loopback: "this machine",
  forbidden: "link-local, a metadata service or reserved",
};

const HINTS: Partial<Record<AddressRange, string>> = {
  private: "Allow it with network: { allowPrivate: true } or name the host in network.allowHosts.",
  loopback: "Allow it with network: { allowLoopback: true }.",
};

/** The host of a URL as DNS and sockets want it: IPv6 without brackets. */
function bareHost(url: URL): string {
  return url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
}

/** The port of an http or https URL. */
function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

/** Entries as {@link NetworkPolicy} looks them up: a host, or a host and its port. */
function* allowedHosts(given: readonly string[] | undefined, where: string): Generator<string> {
  if (given === undefined) return;
  if (!Array.isArray(given))
    throw invalidOption(where, "network.allowHosts", "an array of host names", given);
  for (const host of given) {
    const [, name, port] = /^(\[[0-9a-f:.]+\]|[^\s:/?#@*[\]]+)(?::(\d{1,5}))?$/i.exec(String(host)) ?? [];
    if (typeof host !== "string" || name === undefined || !URL.canParse(`https://${host}`)) {
      throw invalidOption(where, "network.allowHosts", "host names, each with or without a port", host);
    }
    const { hostname } = new URL(`https://${name}`);
    yield port === undefined ? hostname : `${hostname}:${Number(port)}`;
  }
}

function refusedUrl(url: URL, why: string): A2AError {
  return new A2AError(`${placeOf(url)} is refused: ${why}`, {
    code: "URL_REFUSED",
    context: { url: placeOf(url) },
  });
}

function notFound(url: URL, cause: unknown): A2AError {
  return new A2AError(`The host ${url.hostname} was not found`, {
    code: "PEER_UNREACHABLE",
    category: "infrastructure",
    context: { host: url.host },
    cause,
  });
}

/** A URL as errors show it: queries, fragments and credentials may be secrets. */
export function placeOf(url: URL): string {
  return url.origin === "null" ? url.protocol : `${url.origin}${url.pathname}`;
}
