import { A2AError, LakeError } from "../../errors.js";
import type { BundleCollection } from "../../lake/bundle.js";
import type { BundleInfo } from "../../lake/bundle-info.js";
import { RuLake } from "../../lake/lake.js";
import { checkOptions, invalidOption } from "../../options.js";
import type { A2APart } from "../peer/parts.js";

/** A snapshot of a collection as another agent hears of it: its witness, not its data. */
export interface WitnessHandoff {
  /** SHAKE-256 witness of the bundle, 64 hexadecimal digits: it covers every byte of the content. */
  witness: string;
  /** Where the sender says the data comes from. A name to look up, never a path to open. */
  dataRef: string;
  dimensions?: number;
  /** Ed25519 key that signed the witness, 64 hexadecimal digits. */
  publicKey?: string;
  capabilities: string[];
}

/** Where {@link resolveWitness} looks: directories with a bundle each, or a function that knows the one. */
export type BundlePlaces =
  | readonly string[]
  | ((handoff: WitnessHandoff) => string | undefined | Promise<string | undefined>);

/** Largest hand-off in bytes, whatever the size of the collection. */
const LARGEST = 2_048;

/** The kind within the part; receivers of upstream also write it as in the metadata. */
const KIND = "ru_lake_witness";
const KINDS = [KIND, "rulake_witness"];

/**
 * A part of a message that hands a snapshot over by its witness, in at most 2 KiB whatever its size: an artifact of kind
 * `rulake_witness` of ruvector's agents (ADR-159).
 *
 * @param bundle - what `publishBundle` returned
 * @throws {@link A2AError} `WITNESS_UNUSABLE` when the bundle does not cover its content, or names that are too long
 *
 * @example
 * ```ts
 * const bundle = await docs.publishBundle("./shared/docs");
 * await peer.send({ text: "Summarise what is in this collection", data: witnessData(bundle) });
 * ```
 */
export function witnessData(bundle: BundleInfo): Record<string, unknown> {
  const { witness, dataRef, dimensions, publicKey, files } = bundle;
  if (files === undefined) throw unusable("nothing covers the content of this bundle");
  const data = {
    kind: KIND,
    witness,
    data_ref: dataRef,
    dimensions,
    ...(publicKey === undefined ? {} : { public_key: publicKey }),
    capabilities: ["search", "get", "scan"],
    ruvector: { artifact_kind: "rulake_witness", artifact_kind_version: "1" },
  };
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes > LARGEST)
    throw unusable(`it would take ${bytes} bytes, and ${LARGEST} are allowed: its dataRef is too long`);
  return data;
}

/** The hand-off within the parts of a message or an artifact; `undefined` if there is none that makes sense. */
export function findWitness(parts: readonly A2APart[]): WitnessHandoff | undefined {
  for (const part of parts) {
    if (!("data" in part) || typeof part.data !== "object" || part.data === null) continue;
    const { kind, witness, data_ref, dimensions, public_key, capabilities } = part.data as Record<
      string,
      unknown
    >;
    if (!KINDS.includes(String(kind)) || !isDigest(witness) || typeof data_ref !== "string") continue;
    return {
      witness,
      dataRef: data_ref,
      ...(typeof dimensions === "number" ? { dimensions } : {}),
      ...(isDigest(public_key) ? { publicKey: public_key } : {}),
      capabilities: Array.isArray(capabilities)
        ? capabilities.filter((each) => typeof each === "string")
        : [],
    };
  }
  return undefined;
}

/**
 * Opens the snapshot that a hand-off speaks of, from a place of your own, and only if every byte is what the witness
 * covers. The sender's word decides over nothing but which bundle is asked for.
 *
 * @throws {@link A2AError} `WITNESS_UNKNOWN` when no place has it
 * @throws {@link LakeError} `CORRUPT_FILE`, `IO` and what else `RuLake.openBundle` throws
 *
 * @example
 * ```ts
 * const handler = async ({ parts }) => {
 *   const handoff = findWitness(parts);
 *   if (handoff === undefined) return { reject: "send a witness" };
 *   const docs = await resolveWitness(handoff, { bundles: ["./shared/docs"] });
 *   return `${docs.size} records`;
 * };
 * ```
 */
export async function resolveWitness<Meta extends object = Record<string, unknown>>(
  handoff: WitnessHandoff,
  options: { bundles: BundlePlaces },
): Promise<BundleCollection<Meta>> {
  const where = "resolveWitness()";
  checkOptions(options, ["bundles"], where);
  const { bundles } = options;
  if (!Array.isArray(bundles) && typeof bundles !== "function") {
    throw invalidOption(where, "bundles", "directories or a function", bundles);
  }
  const { witness } = handoff;
  const found = typeof bundles === "function" ? await bundles(handoff) : bundles;
  for (const directory of typeof found === "string" ? [found] : (found ?? [])) {
    try {
      return await RuLake.openBundle<Meta>(directory, { expect: { witness } });
    } catch (error) {
      const isOther =
        LakeError.isInstance(error) && ["WITNESS_MISMATCH", "FILE_NOT_FOUND"].includes(error.code);
      if (!isOther) throw error;
    }
  }
  throw new A2AError(`${where}: no bundle with the witness ${witness.slice(0, 16)}… is known here`, {
    code: "WITNESS_UNKNOWN",
    context: { witness, dataRef: handoff.dataRef.slice(0, 200) },
    hint: "the two sides need the same bundle: publish it where both can read it",
  });
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function unusable(why: string): A2AError {
  return new A2AError(`witnessData(): the bundle cannot be handed over: ${why}`, {
    code: "WITNESS_UNUSABLE",
  });
}
