import { createHash, generateKeyPairSync, verify } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { BundleCollection, type Collection, type OpenBundleOptions, RuLake, type StoredRecord } from "rulake";
import { describe, expect, it } from "vitest";
import { failure, ids, memoryCollection, noise, scratchDirectory } from "./scratch.js";

const scratch = scratchDirectory();
const include = ["vector", "text", "metadata"] as const;
const upstream = new URL("../fixtures/upstream", import.meta.url).pathname;

interface Meta {
  n: number;
  tags: string[];
}

async function some(count = 30): Promise<Collection<Meta>> {
  const docs = await memoryCollection<Meta>();
  const record = (_: unknown, i: number) => ({
    id: `r${i}`,
    ...(i % 4 === 3 ? {} : { vector: noise(8, i + 1) }),
    text: `text ${i} ü\n"\u2028`,
    metadata: { n: i, tags: [`t${i % 3}`] },
  });
  await docs.upsert(Array.from({ length: count }, record));
  return docs;
}

async function records(docs: Collection<Meta>): Promise<StoredRecord<Meta>[]> {
  const found = [];
  for await (const record of docs.scan({ include })) found.push(record);
  return found;
}

const keys = () => generateKeyPairSync("ed25519");
const open = (dir: string, options?: OpenBundleOptions) => RuLake.openBundle<Meta>(dir, options);
const code = async (work: Promise<unknown>) => (await failure(work)).code;

describe("a bundle", () => {
  it("holds everything and cannot be changed", async () => {
    const docs = await some();
    const dir = scratch();
    const published = await docs.publishBundle(dir);
    await using copy = await open(dir);
    expect(await records(copy)).toEqual(await records(docs));
    expect(copy).toBeInstanceOf(BundleCollection);
    expect([copy.name, copy.size, copy.metric, copy.dimensions]).toEqual(["docs", 30, "cosine", 8]);
    expect(copy.bundle).toEqual(published);
    const options = { k: 5, filter: { tags: { $contains: "t1" } }, include };
    expect(await copy.search(noise(8, 7), options)).toEqual(await docs.search(noise(8, 7), options));
    const loose: Collection<Meta> = copy;
    for (const work of [loose.upsert([{ vector: noise(8) }]), loose.delete({ all: true }), loose.compact()]) {
      expect(await code(work)).toBe("READ_ONLY");
    }
    expect(copy.size).toBe(30);
    // The hint of that error, which is how to go on writing.
    const own = await memoryCollection<Meta>();
    await own.upsert(copy.scan({ include }));
    expect(await records(own)).toEqual(await records(docs));
    expect((await own.publishBundle(scratch())).witness).toBe(published.witness);
    await copy.close();
    expect(await code(copy.search(noise(8, 7)))).toBe("CLOSED");
  });

  it("has the digests that anybody can compute", async () => {
    const dir = scratch();
    const { files = [], witness, generation, dataRef } = await (await some()).publishBundle(dir);
    expect(files.map((file) => file.role)).toEqual(["records", "vectors", "index"]);
    for (const { name, bytes, shake256 } of files) {
      const content = readFileSync(path.join(dir, name));
      expect(content.length).toBe(bytes);
      expect(createHash("shake256", { outputLength: 32 }).update(content).digest("hex")).toBe(shake256);
    }
    // The witness of upstream, from its definition in docs/format.md.
    const number = (n: bigint | number) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(n));
      return bytes;
    };
    const tagged = Buffer.concat([Buffer.of(1), Buffer.from(generation as string)]);
    const parts = [
      Buffer.from("rulake-bundle-witness-v1|"),
      number(dataRef.length),
      Buffer.from(`${dataRef}|`),
      ...[8, 42, 20].map(number),
      Buffer.from("|"),
      number(tagged.length),
      tagged,
    ];
    expect(createHash("shake256", { outputLength: 32 }).update(Buffer.concat(parts)).digest("hex")).toBe(
      witness,
    );
  });

  it("is what is expected, or is not opened", async () => {
    const dir = scratch();
    const { witness } = await (await some()).publishBundle(dir, { dataRef: "s3://b/k" });
    const right = {
      witness: witness.toUpperCase(),
      dataRef: "s3://b/k",
      dimensions: 8,
      metric: "cosine",
    } as const;
    await (await open(dir, { expect: right })).close();
    expect(await code(open(dir, { expect: { witness: "0".repeat(64) } }))).toBe("WITNESS_MISMATCH");
    for (const expect_ of [{ dataRef: "s3://b/x" }, { dimensions: 9 }, { metric: "l2" }] as const) {
      const error = await failure(open(dir, { expect: expect_ }));
      expect(error).toMatchObject({
        code: "COLLECTION_MISMATCH",
        context: { option: Object.keys(expect_)[0] },
      });
    }
  });

  it("is signed and trusted by key", async () => {
    const [ours, theirs] = [keys(), keys()];
    const dir = scratch();
    const { publicKey = "", witness } = await (await some()).publishBundle(dir, {
      signingKey: ours.privateKey,
    });
    const jwk = ours.publicKey.export({ format: "jwk" });
    expect(Buffer.from(publicKey, "hex").toString("base64url")).toBe(jwk.x);
    const pem = ours.publicKey.export({ format: "pem", type: "spki" }) as string;
    for (const key of [ours.publicKey, pem, jwk, publicKey, [theirs.publicKey, publicKey]]) {
      const copy = await open(dir, { expect: { publicKey: key } });
      expect(copy.bundle.publicKey).toBe(publicKey);
      await copy.close();
    }
    const stored = JSON.parse(readFileSync(path.join(dir, "table.rulake.json"), "utf8")).signature;
    const text = Buffer.from(`rulake-bundle-signature-v1|${witness}`);
    expect(verify(null, text, ours.publicKey, Buffer.from(stored.signature, "hex"))).toBe(true);
    expect(await code(open(dir, { expect: { publicKey: theirs.publicKey } }))).toBe("SIGNATURE_INVALID");
    // Other forms of a key that signs give the same signature: Ed25519 has no randomness.
    for (const signingKey of [
      ours.privateKey.export({ format: "pem", type: "pkcs8" }) as string,
      ours.privateKey.export({ format: "jwk" }),
    ]) {
      const other = scratch();
      await (await some()).publishBundle(other, { signingKey });
      expect(readFileSync(path.join(other, "table.rulake.json"))).toEqual(
        readFileSync(path.join(dir, "table.rulake.json")),
      );
    }
  });

  it("refuses signatures that are missing, of another bundle, or made up", async () => {
    const { privateKey, publicKey } = keys();
    const docs = await some();
    const [signed, plain] = [scratch(), scratch()];
    await docs.publishBundle(signed, { signingKey: privateKey });
    await (await some(20)).publishBundle(plain);
    expect(await code(open(plain, { expect: { publicKey } }))).toBe("SIGNATURE_MISSING");
    const table = path.join(plain, "table.rulake.json");
    const good = JSON.parse(readFileSync(table, "utf8"));
    const { signature } = JSON.parse(readFileSync(path.join(signed, "table.rulake.json"), "utf8"));
    for (const forged of [
      signature,
      { ...signature, algorithm: "none" },
      { ...signature, signature: "00".repeat(64) },
      { ...signature, signature: signature.signature.slice(2) },
      { ...signature, public_key: "00".repeat(32) },
      { ...signature, public_key: "ff".repeat(32) },
      { ...signature, public_key: signature.public_key.toUpperCase() },
    ]) {
      writeFileSync(table, JSON.stringify({ ...good, signature: forged }));
      // Whether or not anybody asks for it: a signature that is there is one that holds.
      expect(await code(open(plain))).toBe("SIGNATURE_INVALID");
      expect(await code(open(plain, { expect: { publicKey } }))).toBe("SIGNATURE_INVALID");
    }
    writeFileSync(table, JSON.stringify({ ...good, signature: { ...signature, extra: 1 } }));
    expect(await code(open(plain))).toBe("CORRUPT_FILE");
  });

  it("refuses what was tampered with", async () => {
    const dir = scratch();
    const { files = [] } = await (await some()).publishBundle(dir);
    const name = (role: string) => path.join(dir, files.find((file) => file.role === role)?.name ?? "");
    const vectors = readFileSync(name("vectors"));
    const bad = Buffer.from(vectors);
    bad.writeFloatLE(1.5, 24 + 8);
    writeFileSync(name("vectors"), bad);
    const error = await failure(open(dir));
    expect(error).toMatchObject({ code: "CORRUPT_FILE", category: "permanent" });
    expect(error.context.path).toBe(name("vectors"));
    writeFileSync(name("vectors"), vectors.subarray(0, 100));
    expect(await code(open(dir))).toBe("CORRUPT_FILE");
    const outside = path.join(scratch(), "..", "outside.ruvec1");
    writeFileSync(outside, vectors);
    rmSync(name("vectors"));
    symlinkSync(outside, name("vectors"));
    expect(await code(open(dir))).toBe("UNSAFE_BUNDLE");
    rmSync(name("vectors"));
    expect(await code(open(dir))).toBe("FILE_NOT_FOUND");
    writeFileSync(name("vectors"), vectors);
    await (await open(dir)).close();
    const table = path.join(dir, "table.rulake.json");
    const text = readFileSync(table, "utf8");
    writeFileSync(table, text.replace(/vectors-[0-9a-f]+/, "../outside"));
    expect(await code(open(dir))).toBe("UNSAFE_BUNDLE");
    writeFileSync(table, text.replace('"format_version": 2', '"format_version": 9'));
    expect(await code(open(dir))).toBe("UNSUPPORTED_FORMAT");
    writeFileSync(table, text.replace('"dim": 8', '"dim": 7'));
    expect(await code(open(dir))).toBe("WITNESS_MISMATCH");
    writeFileSync(table, text);
    appendFileSync(name("records"), "{}\n");
    expect(await code(open(dir))).toBe("CORRUPT_FILE");
    expect(await code(open(scratch()))).toBe("FILE_NOT_FOUND");
  });

  it("is replaced as a whole while others open it", async () => {
    const docs = await memoryCollection<Meta>();
    const dir = scratch();
    const publish = async (round: number) => {
      const metadata = { n: round, tags: [] };
      await docs.upsert(
        Array.from({ length: 50 }, (_, i) => ({
          id: `${i}`,
          vector: noise(8, round * 50 + i + 1),
          metadata,
        })),
      );
      await docs.publishBundle(dir, { rbpx: false });
    };
    await publish(0);
    let publishing = true;
    const publisher = (async () => {
      for (let round = 1; round <= 25; round++) await publish(round);
      publishing = false;
    })();
    const seen = new Set<number>();
    while (publishing) {
      const copy = await open(dir);
      const rounds = new Set((await records(copy)).map((record) => record.metadata?.n ?? -1));
      expect([copy.size, rounds.size]).toEqual([50, 1]);
      for (const round of rounds) seen.add(round);
      await copy.close();
    }
    await publisher;
    expect(seen.size).toBeGreaterThan(1);
    expect(readdirSync(dir)).toHaveLength(3);
  });

  it("is not half there when the publication is cancelled or refused", async () => {
    const docs = await some();
    const dir = scratch();
    const { witness } = await docs.publishBundle(dir);
    await docs.delete({ ids: ["r1"] });
    const reason = new Error("enough");
    await expect(docs.publishBundle(dir, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const running = new AbortController();
    const publication = docs.publishBundle(dir, { signal: running.signal });
    running.abort(reason);
    await expect(publication).rejects.toBe(reason);
    await using copy = await open(dir);
    expect(copy.bundle.witness).toBe(witness);
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
    await expect(open(dir, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("keeps 64-bit numbers and labels", async () => {
    const dir = scratch();
    const labels = { piiPolicy: "none", lineageId: "run-7", memoryClass: "episodic" };
    const options = { ...labels, rotationSeed: 2n ** 64n - 1n, rerankFactor: 7 };
    await (await some()).publishBundle(dir, options);
    expect(readFileSync(path.join(dir, "table.rulake.json"), "utf8")).toContain(
      `"rotation_seed": ${2n ** 64n - 1n}`,
    );
    await using copy = await open(dir);
    expect(copy.bundle).toMatchObject(options);
  });

  it("checks its options", async () => {
    const docs = await some();
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { publicKey, privateKey } = keys();
    for (const options of [
      { rotationSeed: -1 },
      { rotationSeed: 2n ** 64n },
      { rotationSeed: 1.5 },
      { rerankFactor: 1025 },
      { rerankFactor: -1 },
      { dataRef: "x".repeat(4097) },
      { dataRef: 7 },
      { rbpx: "yes" },
      { signingKey: "secret" },
      { signingKey: publicKey },
      { signingKey: rsa.privateKey },
    ]) {
      const error = await failure(docs.publishBundle(scratch(), options as object));
      expect([error.code, error.name]).toEqual(["INVALID_OPTION", "ConfigError"]);
      expect(error.message).not.toContain("secret");
    }
    const unsafe = await failure(docs.publishBundle(scratch(), { rotationSeed: 2 ** 53 }));
    expect(unsafe.message).toContain("above 2^53 - 1 a bigint, not 9007199254740992");
    expect(await code(docs.publishBundle(scratch(), { key: privateKey } as object))).toBe("UNKNOWN_OPTION");
    expect(await code(docs.publishBundle(""))).toBe("INVALID_ARGUMENT");
    for (const options of [
      { expect: { witness: "abc" } },
      { expect: { publicKey: "abc" } },
      { expect: { publicKey: rsa.publicKey } },
      { expect: { dimensions: "8" } },
      { expect: { metric: "dot" } },
      { maxBytes: Number.NaN },
      { allowUnverified: 1 },
      { file: 7 },
    ]) {
      expect(await code(open(scratch(), options as object)), JSON.stringify(options)).toBe("INVALID_OPTION");
    }
    const misspelt = await failure(open(scratch(), { expect: { witnes: "" } } as object));
    expect(misspelt.message).toContain("did you mean 'witness'?");
    const dir = scratch();
    await docs.publishBundle(dir);
    expect(await code(open(dir, { maxBytes: 1000 }))).toBe("BUNDLE_TOO_LARGE");
    expect(await code(open(dir, { file: "index.rbpx", allowUnverified: true }))).toBe("INVALID_OPTION");
  });
});

describe("a bundle of upstream", () => {
  it("is opened when its reader says so", async () => {
    const error = await failure(open(upstream));
    expect(error.code).toBe("CONTENT_UNVERIFIED");
    expect(error.hint).toContain("allowUnverified");
    for (const file of [undefined, "index.rbpx", "c.ruvec1"]) {
      await using copy = await open(upstream, { allowUnverified: true, file });
      expect([copy.size, copy.metric, copy.dimensions]).toEqual([64, "l2", 16]);
      expect(copy.bundle).toMatchObject({ generation: 1n, dataRef: "x://y", files: undefined });
      const [row] = await copy.get(["1035"], { include: ["vector"] });
      const hits = await copy.search(row?.vector ?? [], { k: 5 });
      // As in expected.txt.
      expect(ids(hits)).toEqual(["1035", "1413", "1280", "1049", "1091"]);
      expect((hits[1]?.distance ?? 0) ** 2).toBeCloseTo(7.6029243, 5);
    }
  });

  it("is republished with digests", async () => {
    const dir = scratch();
    await using theirs = await open(upstream, { allowUnverified: true });
    await theirs.publishBundle(dir);
    await using ours = await open(dir);
    expect(await records(ours)).toEqual(await records(theirs));
    // Its ids are numbers, and stay so for upstream.
    const { files = [] } = ours.bundle;
    const raw = readFileSync(path.join(dir, files[1]?.name ?? ""));
    expect(raw.readBigUInt64LE(24)).toBe(1000n);
  });

  it("does not hide what was added to it", async () => {
    const dir = scratch();
    cpSync(upstream, dir, { recursive: true });
    appendFileSync(path.join(dir, "index.rbpx"), "x");
    expect(await code(open(dir, { allowUnverified: true }))).toBe("CORRUPT_FILE");
    expect(await code(open(dir, { allowUnverified: true, file: "../c.ruvec1" }))).toBe("UNSAFE_BUNDLE");
  });
});
