import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * Where an address leads: `public` to the internet, `private` into a local network (RFC 1918, RFC 4193, RFC 6598),
 * `loopback` to this machine; `forbidden` is everything an agent has no business at: link-local, metadata services,
 * multicast, tunnels, and ranges that IANA reserves.
 */
export type AddressRange = "public" | "private" | "loopback" | "forbidden";

/**
 * Services that hand credentials to whoever asks from inside a cloud, at addresses outside the link-local ranges:
 * AWS (IPv6), Google Cloud (IPv6), Azure, Alibaba Cloud.
 */
const METADATA = new Set(["fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200"]);

/** Addresses that are given out by IANA to be global unicast (RFC 4291, section 2.4). */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];

/** The well-known prefix of NAT64 (RFC 6052), behind which the last 32 bits are an IPv4 address. */
const NAT64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("64:ff9b::"), 96];

/**
 * The range of an IP address. IPv4 addresses inside IPv6 ones (mapped, NAT64) count as what they are. Prefixes of a
 * network's own NAT64 cannot be known here.
 *
 * @param address - as DNS or a URL gives it, without brackets; anything that is no IP address is `forbidden`
 */
export function addressRange(address: string): AddressRange {
  // The library also takes what C's inet_aton does: 1.2.3, 0x7f.1, 127.
  if (isIP(address) === 0) return "forbidden";
  const parsed = ipaddr.parse(address);
  return parsed.kind() === "ipv4" ? rangeOfIPv4(parsed as ipaddr.IPv4) : rangeOfIPv6(parsed as ipaddr.IPv6);
}

function rangeOfIPv4(address: ipaddr.IPv4): AddressRange {
  if (METADATA.has(address.toString())) return "forbidden";
  switch (address.range()) {
    case "unicast":
      return "public";
    case "private":
    case "carrierGradeNat":
      return "private";
    case "loopback":
      return "loopback";
    default:
      return "forbidden";
  }
}

function rangeOfIPv6(address: ipaddr.IPv6): AddressRange {
  if (METADATA.has(address.toString())) return "forbidden";
  if (address.isIPv4MappedAddress()) return rangeOfIPv4(address.toIPv4Address());
  if (address.match(NAT64)) return rangeOfIPv4(new ipaddr.IPv4(address.toByteArray().slice(12)));
  switch (address.range()) {
    case "unicast":
      // The library calls unicast whatever it has no name for, `::127.0.0.1` (IPv4-compatible) among others.
      return address.match(GLOBAL_UNICAST) ? "public" : "forbidden";
    case "uniqueLocal":
      return "private";
    case "loopback":
      return "loopback";
    default:
      return "forbidden";
  }
}
