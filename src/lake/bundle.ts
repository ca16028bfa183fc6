import type { KeyObject } from "node:crypto";
import type { BundleFacts, LoadParameters, NativeBundle, NativeCollection } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { type Metric, metrics } from "../indexes/metric.js";
import { native } from "../native.js";
import { checkOptions, checkSignal, invalidOption, oneOf } from "../options.js";
import { type BundleInfo, toBundleInfo } from "./bundle-info.js";
import { type BundlePublicKey, checkSignature, toPublicKey } from "./bundle-key.js";
import { Collection } from "./collection.js";
import { lakeCall, lakeCallNow } from "./native-call.js";
import { toBundlePath } from "./publish-bundle.js";

/** What a bundle must be; checked before any of its content is read. */
export interface BundleExpectation {
  /** The witness, as the publisher told it. */
  witness?: string | undefined;
  /** Who must have signed it; of several keys, one. */
  publicKey?: BundlePublicKey | readonly BundlePublicKey[] | undefined;
  /** Where the data must come from. */
  dataRef?: string | undefined;
  /** Numbers in a vector. */
  dimensions?: number | undefined;
  /** How vectors are compared. */
  metric?: Metric | undefined;
}

/** Options of {@link RuLake.openBundle}. */
export interface OpenBundleOptions {
  /** What the bundle must be. Without `witness` or `publicKey`, only accidents are noticed, not forgeries. */
  expect?: BundleExpectation | undefined;
  /** Most bytes of vectors and records to read into memory. Default 16 GiB. */
  maxBytes?: number | undefined;
  /** Open a bundle of upstream, whose vectors no digest covers. Default false. */
  allowUnverified?: boolean | undefined;
  /** Which `ruvec1` or `rbpx` file of such a bundle to read. Default `index.rbpx`. */
  file?: string | undefined;
  /** Stops the loading; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Publications that may replace one another while a bundle is being opened. */
const ATTEMPTS = 5;

/**
 * The content of a bundle: a {@link Collection} in memory that refuses changes. Made by {@link RuLake.openBundle}. It
 * shares nothing with the directory it came from, nor with another one opened from there.
 */
export class BundleCollection<Meta extends object = Record<string, unknown>> extends Collection<Meta> {
  /** What the bundle says of itself. */
  readonly bundle: BundleInfo;

  /** @internal Only {@link RuLake.openBundle} makes one. */
  constructor(handle: NativeCollection, bundle: BundleInfo) {
    super(handle, { closed: false });
    this.bundle = bundle;
  }

  /** @internal */
  protected override get reopening(): string {
    return "RuLake.openBundle() opens it again; close() only once nothing needs it any more.";
  }

  /** @throws {@link LakeError} `READ_ONLY` */
  override async upsert(): Promise<never> {
    throw readOnly("upsert");
  }

  /** @throws {@link LakeError} `READ_ONLY` */
  override async delete(): Promise<never> {
    throw readOnly("delete");
  }

  /** @throws {@link LakeError} `READ_ONLY` */
  override async compact(): Promise<never> {
    throw readOnly("compact");
  }
}

function readOnly(method: string): LakeError {
  return new LakeError(`Collection.${method}(): a bundle cannot be changed`, {
    code: "READ_ONLY",
    hint: "Copy it: await docs.upsert(bundle.scan({ include: ['vector', 'text', 'metadata'] })).",
  });
}

/** See {@link RuLake.openBundle}. */
export async function openBundle<Meta extends object>(
  directory: string,
  options: OpenBundleOptions,
): Promise<BundleCollection<Meta>> {
  const where = "RuLake.openBundle()";
  checkOptions(options, ["expect", "maxBytes", "allowUnverified", "file", "signal"], where);
  const { signal } = options;
  checkSignal(signal, where);
  const parameters = toLoadParameters(options, where);
  const expected = toExpected(options.expect, where);
  const dir = toBundlePath(directory, where);
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const bundle = await lakeCall(where, undefined, () => native().readBundle(dir));
    const facts = lakeCallNow(where, () => bundle.facts());
    const publicKey = check(facts, expected, dir, where);
    try {
      const handle = await load(bundle, parameters, signal, where);
      const info = toBundleInfo(facts, dir, publicKey);
      return lakeCallNow(where, () => new BundleCollection<Meta>(handle, info));
    } catch (error) {
      // A publication takes the files of the one before away.
      const gone = LakeError.isInstance(error) && error.code === "FILE_NOT_FOUND" && attempt < ATTEMPTS;
      if (!gone || (await isCurrent(facts, dir, where))) throw error;
    }
  }
}

function load(
  bundle: NativeBundle,
  parameters: LoadParameters,
  signal: AbortSignal | undefined,
  where: string,
): Promise<NativeCollection> {
  return lakeCall(where, signal, (control) => bundle.load(parameters, control));
}

async function isCurrent(facts: BundleFacts, dir: string, where: string): Promise<boolean> {
  const now = await lakeCall(where, undefined, () => native().readBundle(dir));
  return lakeCallNow(where, () => now.facts()).witness === facts.witness;
}

function toLoadParameters(options: OpenBundleOptions, where: string): LoadParameters {
  const { maxBytes, allowUnverified = false, file } = options;
  if (maxBytes !== undefined && !(typeof maxBytes === "number" && maxBytes >= 0)) {
    throw invalidOption(where, "maxBytes", "a number of bytes", maxBytes);
  }
  if (typeof allowUnverified !== "boolean") {
    throw invalidOption(where, "allowUnverified", "true or false", allowUnverified);
  }
  if (file !== undefined && typeof file !== "string") throw invalidOption(where, "file", "a string", file);
  return { maxBytes, allowUnverified, file };
}

type Expected = Omit<BundleExpectation, "publicKey"> & { keys: KeyObject[] | undefined };

function toExpected(expect: BundleExpectation | undefined, where: string): Expected {
  checkOptions(expect, ["witness", "publicKey", "dataRef", "dimensions", "metric"], `${where} expect`);
  const { witness, publicKey, dataRef, dimensions, metric } = expect ?? {};
  if (witness !== undefined && !(typeof witness === "string" && /^[0-9a-f]{64}$/i.test(witness))) {
    throw invalidOption(where, "expect.witness", "64 hexadecimal digits", witness);
  }
  if (dataRef !== undefined && typeof dataRef !== "string") {
    throw invalidOption(where, "expect.dataRef", "a string", dataRef);
  }
  if (dimensions !== undefined && !Number.isInteger(dimensions)) {
    throw invalidOption(where, "expect.dimensions", "a whole number", dimensions);
  }
  oneOf(metric, metrics, "expect.metric", where);
  const list: readonly BundlePublicKey[] | undefined =
    publicKey === undefined ? undefined : isList(publicKey) ? publicKey : [publicKey];
  const keys = list?.map((key) => toPublicKey(key, where));
  return { witness: witness?.toLowerCase(), keys, dataRef, dimensions, metric };
}

function isList(keys: BundlePublicKey | readonly BundlePublicKey[]): keys is readonly BundlePublicKey[] {
  return Array.isArray(keys);
}

/** Compares the description with what is expected, and gives the key that signed it. */
function check(facts: BundleFacts, expected: Expected, dir: string, where: string): string | undefined {
  if (expected.witness !== undefined && facts.witness !== expected.witness) {
    const message = `${where}: the witness of the bundle in ${dir} is ${facts.witness}, not ${expected.witness}`;
    throw new LakeError(message, {
      code: "WITNESS_MISMATCH",
      context: { path: dir, expected: expected.witness, found: facts.witness },
      hint: "It is another bundle than the one expected, or another state of it.",
    });
  }
  const publicKey = checkSignature(facts, expected.keys, dir, where);
  const metric = facts.content?.metric ?? "l2";
  for (const [option, stored, asked] of [
    ["dataRef", facts.dataRef, expected.dataRef],
    ["dimensions", facts.dimensions, expected.dimensions],
    ["metric", metric, expected.metric],
  ] as const) {
    if (asked === undefined || stored === asked) continue;
    throw new LakeError(`${where}: the bundle in ${dir} has ${option} ${stored}, not ${asked}`, {
      code: "COLLECTION_MISMATCH",
      context: { path: dir, option, stored, asked },
      hint: `Leave expect.${option} out to accept what the bundle has, if you trust its publisher.`,
    });
  }
  return publicKey;
}
