import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Collection, RuLake } from "rulake";
import { A2APeer, discoverAgent } from "rulake/agents";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noise, scratchDirectory } from "../lake/scratch.js";
import { addedDelay } from "../loop-delay.js";
import { burstPeer } from "./burst-peer.js";
import { keyPair } from "./key-pair.js";

const scratch = scratchDirectory();
let burst: Awaited<ReturnType<typeof burstPeer>>;
let peer: A2APeer;

beforeAll(async () => {
  burst = await burstPeer();
  peer = await A2APeer.connect(burst.url, { network: { allowLoopback: true } });
  await count("2000");
});
afterAll(async () => {
  await peer.close();
  burst.stop();
});

/** Number of chunks that a burst brings; each names its place, so that none can be missing or doubled. */
async function count(message: string): Promise<number> {
  let next = 0;
  for await (const { type, text } of peer.stream(message)) {
    if (type !== "artifact") continue;
    if (text !== `${next} `) throw new Error(`chunk ${next} is '${text}'`);
    next++;
  }
  return next;
}

describe("a burst of 20,000 updates", () => {
  it.each([
    { quantile: 0.99, allowed: 10, crowded: true },
    { quantile: 1, allowed: 50, crowded: true },
  ])("arrives whole, and $quantile of the turns last for $allowed ms at most", async (limit) => {
    const work = async () => {
      for (let at = 0; at < 3; at++) expect(await count("20000")).toBe(20_000);
    };
    expect(await addedDelay(work, limit)).toBeLessThanOrEqual(limit.allowed);
  });
});

describe("a card of 245 kB", () => {
  const card = {
    name: "Large",
    description: "As costly as a card can be",
    version: "1",
    supportedInterfaces: [{ url: "http://127.0.0.1:1/", protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    capabilities: { streaming: true },
  };
  const many = <T>(count: number, make: (at: number) => T) =>
    Array.from({ length: count }, (_, at) => make(at));
  const named = (count: number, value: (at: number) => unknown) =>
    Object.fromEntries(many(count, (at) => [`${"k".repeat(16)}${at}`, value(at)]));
  const skill = (at: number, text: string) => ({ id: `s${at}`, name: text, description: text, tags: [text] });
  const cards: Record<string, object> = {
    "of empty lists": { ...card, extra: many(80_000, () => []) },
    "of keys": { ...card, extra: named(5_500, () => 1) },
    "of security schemes": { ...card, securitySchemes: named(2_900, () => ({ x: "y".repeat(20) })) },
    "of skills with hidden text": { ...card, skills: many(500, (at) => skill(at, "d\u200b ".repeat(30))) },
    "of one long text": { ...card, description: "\u202eé ".repeat(40_000) },
    "of deep lists": { ...card, extra: many(95, () => JSON.parse(`${"[".repeat(60)}${"]".repeat(60)}`)) },
  };

  it.each(Object.keys(cards))("%s holds the event loop up for 5 ms at most, signed or not", async (kind) => {
    const { publicKey } = keyPair();
    const keys = [{ ...publicKey.export({ format: "jwk" }), kty: "EC" }];
    const signature = {
      protected: Buffer.from(JSON.stringify({ alg: "ES256", kid: "k", typ: "JOSE" })).toString("base64url"),
      signature: Buffer.alloc(64, 1).toString("base64url"),
    };
    for (const signatures of [[], many(4, () => signature)]) {
      const text = JSON.stringify({ ...cards[kind], signatures });
      expect(Buffer.byteLength(text)).toBeLessThan(256 * 1024);
      const server = createServer((_, response) => response.end(text));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const trust = signatures.length === 0 ? {} : { keys };
      const find = () =>
        discoverAgent(url, { network: { allowLoopback: true }, trust }).catch((error) => error);
      const added = await addedDelay(find, { allowed: 5, attempts: 12 });
      server.close();
      server.closeAllConnections();
      expect(added, text.slice(0, 20)).toBeLessThanOrEqual(5);
    }
  });
});

describe("1,000 updates beside two searches of a lake", () => {
  const dimensions = 384;
  let lake: RuLake;
  let docs: Collection;

  beforeAll(async () => {
    lake = await RuLake.open(scratch());
    docs = await lake.collection("docs", { index: "FlatF32Index" });
    const vectors = noise(20_000 * dimensions);
    const vector = (at: number) => vectors.subarray(at * dimensions, (at + 1) * dimensions);
    await docs.upsert(Array.from({ length: 20_000 }, (_, at) => ({ id: `${at}`, vector: vector(at) })));
  });
  afterAll(() => lake.close());

  it("take less than 1.2 times as long as the slowest of them alone", async () => {
    const search = async () => {
      // As many as take about as long as the updates, one after the other.
      for (let at = 0; at < 100; at++) await docs.search(noise(dimensions), { k: 10 });
    };
    const timed = async (...works: (() => Promise<unknown>)[]) => {
      const started = performance.now();
      await Promise.all(works.map((work) => work()));
      return performance.now() - started;
    };
    const updates = async () => expect(await count("1000 every 1")).toBe(1_000);
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 8 && best >= 1.2; attempt++) {
      const alone = Math.max(await timed(updates), await timed(search));
      best = Math.min(best, (await timed(updates, search, search)) / alone);
    }
    expect(best).toBeLessThan(1.2);
  });
});
