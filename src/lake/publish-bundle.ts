import path from "node:path";
import type { NativeCollection } from "../../native/binding.js";
import { native } from "../native.js";
import { checkOptions, describe, invalidOption } from "../options.js";
import { type BundleInfo, toBundleInfo } from "./bundle-info.js";
import { type BundleSigningKey, signBundle, toSigningKey } from "./bundle-key.js";
import { invalidArgument, lakeCall, lakeCallNow } from "./native-call.js";

/** Options of {@link Collection.publishBundle}. */
export interface PublishBundleOptions {
  /** Ed25519 key to sign the witness with. */
  signingKey?: BundleSigningKey | undefined;
  /** Where the data comes from, at most 4 KiB. Default `rulake:<collection>`. */
  dataRef?: string | undefined;
  /** Also write `index.rbpx`, which upstream's crates warm their cache from. Default true; never for metric `"ip"`. */
  rbpx?: boolean | undefined;
  /** Seed of upstream's rotation, 0 to 2^64 - 1; above 2^53 - 1 a bigint. Default 42. */
  rotationSeed?: bigint | number | undefined;
  /** Candidates upstream reranks for each answer, 0 to 1,024. Default 20. */
  rerankFactor?: number | undefined;
  /** A label of upstream's, at most 4 KiB. */
  piiPolicy?: string | undefined;
  /** A label of upstream's, at most 4 KiB. */
  lineageId?: string | undefined;
  /** A label of upstream's, at most 4 KiB. */
  memoryClass?: string | undefined;
  /** Stops the publication, and leaves what was there before. */
  signal?: AbortSignal | undefined;
}

const names = [
  "signingKey",
  "dataRef",
  "rbpx",
  "rotationSeed",
  "rerankFactor",
  "piiPolicy",
  "lineageId",
  "memoryClass",
  "signal",
];

/** Writes the files, signs the witness that comes of them, and puts everything in place. */
export async function publishBundle(
  handle: NativeCollection,
  directory: string,
  options: PublishBundleOptions,
  where: string,
): Promise<BundleInfo> {
  checkOptions(options, names, where);
  const { rbpx = true, rerankFactor, signal } = options;
  if (typeof rbpx !== "boolean") throw invalidOption(where, "rbpx", "true or false", rbpx);
  if (rerankFactor !== undefined && !(Number.isInteger(rerankFactor) && rerankFactor >= 0)) {
    throw invalidOption(where, "rerankFactor", "a whole number from 0 to 1,024", rerankFactor);
  }
  const parameters = {
    rbpx,
    rerankFactor,
    rotationSeed: toSeed(options.rotationSeed, where),
    dataRef: toText(options.dataRef, "dataRef", where),
    piiPolicy: toText(options.piiPolicy, "piiPolicy", where),
    lineageId: toText(options.lineageId, "lineageId", where),
    memoryClass: toText(options.memoryClass, "memoryClass", where),
  };
  const key = options.signingKey === undefined ? undefined : toSigningKey(options.signingKey, where);
  const dir = toBundlePath(directory, where);
  const draft = await lakeCall(where, signal, (control) =>
    native().draftBundle(handle, dir, parameters, control),
  );
  try {
    signal?.throwIfAborted();
    const facts = lakeCallNow(where, () => draft.facts());
    const signature = key === undefined ? undefined : signBundle(facts, key);
    await lakeCall(where, undefined, () => draft.commit(signature));
    return toBundleInfo(facts, dir, signature?.publicKey);
  } finally {
    // Nothing is left to remove once it is in place.
    await lakeCall(where, undefined, () => draft.abandon());
  }
}

/** An absolute path, fixed now. */
export function toBundlePath(directory: unknown, where: string): string {
  if (typeof directory === "string" && directory !== "" && !directory.includes("\0")) {
    return path.resolve(directory);
  }
  throw invalidArgument(where, "directory", "the path of a directory", describe(directory));
}

function toSeed(seed: unknown, where: string): bigint | undefined {
  if (seed === undefined) return undefined;
  const whole = typeof seed === "bigint" || Number.isSafeInteger(seed) ? BigInt(seed as number) : -1n;
  if (whole >= 0n && whole < 1n << 64n) return whole;
  throw invalidOption(
    where,
    "rotationSeed",
    "a whole number from 0 to 2^64 - 1, above 2^53 - 1 a bigint",
    seed,
  );
}

function toText(text: unknown, option: string, where: string): string | undefined {
  if (text === undefined || typeof text === "string") return text;
  throw invalidOption(where, option, "a string", text);
}
