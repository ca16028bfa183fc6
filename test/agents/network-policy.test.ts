import { BlockList, isIPv4 } from "node:net";
import { createGuardedFetch, type NetworkOptions, type ResolvedAddress } from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { addressRange } from "../../src/agents/http/address-range.js";
import { failure, serve } from "./hostile-server.js";

function guarded(network?: NetworkOptions) {
  const http = createGuardedFetch({ ...(network && { network }), limits: { connectMs: 1_000 } });
  onTestFinished(() => http.close());
  return http;
}

const at = (...addresses: string[]): ResolvedAddress[] =>
  addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }));

/** What IANA's registries of special-purpose addresses say (RFC 6890 and its updates), independent of the sources. */
const SPECIAL: Record<string, string[]> = {
  loopback: ["127.0.0.0/8", "::1/128"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"],
  forbidden: [
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
  ],
};

/** The services of clouds that give credentials away. */
const METADATA = [
  "169.254.169.254",
  "169.254.170.2",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
  "fd00:ec2::254",
  "fd20:ce::254",
];

function blockList(ranges: string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", bits = ""] = range.split("/");
    list.addSubnet(network, Number(bits), isIPv4(network) ? "ipv4" : "ipv6");
  }
  return list;
}

const lists = Object.entries(SPECIAL).map(([name, ranges]) => [name, blockList(ranges)] as const);
const globalUnicast = blockList(["2000::/3"]);

/** The range by the lists above. */
function expected(address: string): string {
  if (METADATA.includes(address)) return "forbidden";
  const family = isIPv4(address) ? "ipv4" : "ipv6";
  const [found] = lists.find(([, list]) => list.check(address, family)) ?? [];
  if (found !== undefined || family === "ipv4") return found ?? "public";
  return globalUnicast.check(address, "ipv6") ? "public" : "forbidden";
}

/** Numbers below 2^32 that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
const groups = (bits: bigint) =>
  Array.from({ length: 8 }, (_, i) => ((bits >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(":");

function toBits(address: string): bigint {
  if (isIPv4(address)) return address.split(".").reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n);
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array(8 - left.length - right.length).fill("0");
  const all = tail === undefined ? left : [...left, ...zeros, ...right];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

describe("the range of an address", () => {
  it("is what the registries say, at random and at every edge", () => {
    const next = random(7);
    const addresses: string[] = [...METADATA];
    for (let i = 0; i < 20_000; i++) {
      addresses.push(dotted(next()));
      const words = [next(), next(), next(), next()].map(BigInt);
      const bits = words.reduce((all, word) => (all << 32n) | word, 0n);
      // Half of them where global addresses are: elsewhere nearly all is reserved.
      addresses.push(groups(i % 2 === 0 ? bits : (bits >> 3n) | (1n << 125n)));
    }
    for (const range of Object.values(SPECIAL).flat()) {
      const [network = "", prefix = ""] = range.split("/");
      const width = isIPv4(network) ? 32 : 128;
      const first = toBits(network);
      const last = first | ((1n << BigInt(width - Number(prefix))) - 1n);
      for (const bits of [first - 1n, first, last, last + 1n]) {
        if (bits < 0n || bits >= 1n << BigInt(width)) continue;
        addresses.push(width === 32 ? dotted(Number(bits)) : groups(bits));
      }
    }
    const wrong = addresses.filter((address) => addressRange(address) !== expected(address));
    expect(wrong.map((address) => `${address}: ${addressRange(address)}, not ${expected(address)}`)).toEqual(
      [],
    );
  });

  it("is that of the IPv4 address inside", () => {
    const next = random(9);
    const inside = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "8.8.8.8", "0.0.0.0", "224.0.0.1"];
    for (let i = 0; i < 5_000; i++) inside.push(dotted(next()));
    for (const address of inside) {
      const value = toBits(address);
      for (const prefix of [0xffff_0000_0000n, 0x64_ff9bn << 96n]) {
        expect(addressRange(groups(prefix | value)), groups(prefix | value)).toBe(addressRange(address));
      }
      // Deprecated and tunnel forms lead nowhere that can be checked: IPv4-compatible, SIIT, 6to4, Teredo.
      const tunnels = [
        value,
        (0xffffn << 48n) | value,
        (0x2002n << 112n) | (value << 80n),
        (0x2001n << 112n) | value,
      ];
      for (const bits of tunnels) {
        if (bits !== 1n) expect(addressRange(groups(bits)), groups(bits)).toBe("forbidden");
      }
      expect(addressRange(`::ffff:${address}`)).toBe(addressRange(address));
    }
  });

  it("is forbidden when there is no address", () => {
    for (const text of ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "[::1]", "fe80::1%eth0"]) {
      expect(addressRange(text), text).toBe("forbidden");
    }
  });
});

describe("a URL", () => {
  it.each([
    "file:///etc/passwd",
    "ftp://peer.example/",
    "data:application/json,{}",
    "javascript:1",
    "gopher://127.0.0.1/",
    "http://peer.example/",
    "http://8.8.8.8/",
    "https://user@peer.example/",
    "https://user:pass@peer.example/",
    "not a url",
    "//peer.example",
  ])("%s is refused before anything is looked up", async (url) => {
    const resolve = async () => expect.unreachable();
    expect((await failure(guarded({ resolve }).fetch(url))).code).toBe("URL_REFUSED");
  });

  it.each([
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.01/",
    "https://127.0.0.1./",
    "https://１２７.0.0.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://10.0.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    ...METADATA.map((address) => `https://${isIPv4(address) ? address : `[${address}]`}/latest/meta-data/`),
  ])("%s is refused by its address", async (url) => {
    expect((await failure(guarded().fetch(url))).code).toBe("ADDRESS_REFUSED");
  });

  it("of a metadata service is refused whatever is allowed", async () => {
    for (const address of METADATA) {
      const host = isIPv4(address) ? address : `[${address}]`;
      const network = { allowLoopback: true, allowPrivate: true, allowHosts: [host, "meta.test"] };
      const { fetch } = guarded({ ...network, resolve: async () => at(address) });
      expect((await failure(fetch(`http://${host}/`))).code).toBe("ADDRESS_REFUSED");
      expect((await failure(fetch("http://meta.test/"))).code).toBe("ADDRESS_REFUSED");
    }
  });
});

describe("a name", () => {
  it("is judged by where it leads, and nothing is sent to a refused address", async () => {
    const server = await serve((_, response) => response.end("secret"));
    const url = `http://peer.test:${server.port}/`;
    const resolve = async () => at("127.0.0.1");
    expect((await failure(guarded().fetch(server.origin))).code).toBe("ADDRESS_REFUSED");
    expect((await failure(guarded().fetch(`https://localhost:${server.port}`))).code).toBe("ADDRESS_REFUSED");
    expect((await failure(guarded({ resolve, allowPrivate: true }).fetch(url))).code).toBe("ADDRESS_REFUSED");
    expect((await failure(guarded({ resolve, allowHosts: ["peer.test:1"] }).fetch(url))).code).toBe(
      "URL_REFUSED",
    );
    expect(server.connections).toBe(0);
    for (const allowed of [
      { allowLoopback: true },
      { allowHosts: ["PEER.test"] },
      { allowHosts: [`peer.test:${server.port}`] },
    ]) {
      expect(await (await guarded({ resolve, ...allowed }).fetch(url)).text()).toBe("secret");
    }
  });

  it("is connected to the very address that was checked", async () => {
    const server = await serve((_, response) => response.writeHead(200, { connection: "close" }).end("x"));
    const url = `http://rebind.test:${server.port}/`;
    const answers = ["127.0.0.1", "169.254.169.254", "127.0.0.1"];
    let asked = 0;
    const { fetch } = guarded({ allowLoopback: true, resolve: async () => at(answers[asked++] ?? "") });
    // Nobody else can resolve the name, so the connection can only have gone where the checked answer said.
    expect(await (await fetch(url)).text()).toBe("x");
    expect([asked, server.connections]).toEqual([1, 1]);
    expect((await failure(fetch(url))).code).toBe("ADDRESS_REFUSED");
    expect([asked, server.connections]).toEqual([2, 1]);
  });

  it("with several addresses is reached at those that are allowed", async () => {
    const server = await serve((_, response) => response.end("x"));
    const url = `http://many.test:${server.port}/`;
    const tried: string[][] = [
      ["10.0.0.1", "127.0.0.1"],
      ["169.254.169.254", "::ffff:127.0.0.1"],
      ["fe80::1", "0.0.0.0"],
    ];
    const results = tried.map(async (addresses) => {
      const { fetch } = guarded({ allowLoopback: true, resolve: async () => at(...addresses) });
      return fetch(url).then(
        (response) => response.text(),
        (error) => error.code,
      );
    });
    expect(await Promise.all(results)).toEqual(["x", "x", "ADDRESS_REFUSED"]);
  });

  it("that leads to a public address is no place for http", async () => {
    const { fetch } = guarded({
      allowLoopback: true,
      allowHosts: ["p.test"],
      resolve: async () => at("8.8.8.8"),
    });
    for (const url of ["http://p.test/", "http://q.test/"]) {
      expect((await failure(fetch(url))).code).toBe("URL_REFUSED");
    }
  });

  it("that nobody knows is an error of the infrastructure", async () => {
    const unknown: NetworkOptions["resolve"][] = [
      async () => [],
      async () => Promise.reject(new Error("SERVFAIL")),
    ];
    for (const resolve of unknown) {
      const error = await failure(guarded({ ...(resolve && { resolve }) }).fetch("https://nobody.test/"));
      expect([error.code, error.category]).toEqual(["PEER_UNREACHABLE", "infrastructure"]);
    }
    const nonsense = guarded({ allowLoopback: true, resolve: async () => at("nonsense") });
    expect((await failure(nonsense.fetch("https://nobody.test/"))).code).toBe("ADDRESS_REFUSED");
  });
});
