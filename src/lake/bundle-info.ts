import type { BundleFacts } from "../../native/binding.js";

/** A file of a bundle. */
export interface BundleFile {
  /** `vectors` (`ruvec1`), `records` (JSON lines) or `index` (`rbpx`, for upstream only). */
  role: "vectors" | "records" | "index";
  /** Its name in the directory of the bundle. */
  name: string;
  /** Its length. */
  bytes: number;
  /** Its SHAKE-256 digest of 32 bytes, as hexadecimal digits. */
  shake256: string;
}

/** What a bundle says of itself; all of it is covered by the witness, apart from what is marked. */
export interface BundleInfo {
  /** The directory. */
  path: string;
  /**
   * SHAKE-256 over the description, 64 hexadecimal digits. Where `files` is not `undefined` it covers every byte of the
   * content: to know it from a trusted source is to know the content.
   */
  witness: string;
  /** Ed25519 key that signed the witness, 64 hexadecimal digits; `undefined` if nobody has. It is trusted only if expected. */
  publicKey: string | undefined;
  /** Where the data comes from. */
  dataRef: string;
  /** Which state it is: a number or text of the publisher's, or the digest of the content. */
  generation: bigint | string;
  /** Numbers in a vector; 0 if there is none. */
  dimensions: number;
  /** For upstream's index. */
  rotationSeed: bigint;
  /** For upstream's index. */
  rerankFactor: number;
  /** A label of upstream's; covered by the witness only where `files` is not `undefined`. */
  piiPolicy: string | undefined;
  /** A label of upstream's; covered by the witness only where `files` is not `undefined`. */
  lineageId: string | undefined;
  /** A label of upstream's; covered by the witness only where `files` is not `undefined`. */
  memoryClass: string | undefined;
  /** The files with their digests; `undefined` for a bundle of upstream, whose vectors nothing covers. */
  files: readonly BundleFile[] | undefined;
}

/** The description as users see it. */
export function toBundleInfo(facts: BundleFacts, path: string, publicKey: string | undefined): BundleInfo {
  const { witness, dataRef, generation, dimensions, rotationSeed, rerankFactor, content } = facts;
  const files = content?.files.map(({ role, ...file }) => ({ role: role as BundleFile["role"], ...file }));
  return {
    path,
    witness,
    publicKey,
    dataRef,
    generation,
    dimensions,
    rotationSeed,
    rerankFactor,
    piiPolicy: facts.piiPolicy ?? undefined,
    lineageId: facts.lineageId ?? undefined,
    memoryClass: facts.memoryClass ?? undefined,
    files,
  };
}
