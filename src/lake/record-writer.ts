import { randomUUID } from "node:crypto";
import type { UpsertBatch } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { native } from "../native.js";
import { describe, didYouMean } from "../options.js";
import { isTurnOver, nextTurn } from "../turns.js";
import { JoinedText } from "./joined-text.js";
import { lakeCallNow } from "./native-call.js";
import type { RecordInput } from "./records.js";
import { type VectorInput, vectorLength, writeVector } from "./vector.js";

/** What one call into the native side may take: each of these costs well under a millisecond. */
export const PIECE = { records: 256, numbers: 1 << 17, bytes: 1 << 17 };

const PARTS = ["id", "vector", "text", "metadata"] as const;

const noVector = new Float32Array(0);

/** Room for the vectors of a piece, unless a writer has it: large arrays that live for a moment are hard on the collector. */
let room: Float32Array<ArrayBuffer> | undefined;

/** Collects records for one atomic batch, copying them out in turns that do not hold up the event loop. */
export class RecordWriter {
  readonly #where: string;
  #batch: UpsertBatch | undefined;
  /** Ids, texts and metadata. */
  readonly #text = new JoinedText();
  /** Four for each record, as the native side takes them. */
  #lengths: number[] = [];
  /** The vectors one after the other, in the first `#numbers` places. */
  #vectors = noVector;
  #numbers = 0;
  #records = 0;
  #bytes = 0;
  /** Records of earlier batches, so that messages count as the caller does. */
  #before = 0;

  constructor(where: string) {
    this.#where = where;
  }

  /** Records since the last {@link RecordWriter.take}. */
  get records(): number {
    return this.#records;
  }

  /** Their size, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a record and returns its id.
   *
   * @throws {@link LakeError} `INVALID_RECORD`, `INVALID_ID`, `INVALID_ARGUMENT`
   */
  add(record: RecordInput<object>): string {
    const at = this.#before + this.#records;
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      throw this.#invalid(at, `expected an object, found ${describe(record)}`);
    }
    this.#checkNames(record, at);
    const { vector, text, metadata } = record;
    const id = this.#id(record.id, at);
    if (text !== undefined && typeof text !== "string") {
      throw this.#invalid(at, `text must be a string, not ${describe(text)}`);
    }
    const json = metadata === undefined ? undefined : this.#json(metadata, at);
    const length = vector === undefined ? 0 : this.#keep(vector, at);
    const idBytes = this.#text.add(id);
    const textBytes = text === undefined ? 0 : this.#text.add(text) + 1;
    const jsonBytes = json === undefined ? 0 : this.#text.add(json) + 1;
    this.#lengths.push(idBytes, textBytes, jsonBytes, length);
    this.#numbers += length;
    this.#records += 1;
    this.#bytes += idBytes + textBytes + jsonBytes + 4 * length;
    return id;
  }

  /** Whether the event loop should get its turn: then await {@link RecordWriter.flush}. */
  get isDue(): boolean {
    return (
      this.#lengths.length >= 4 * PIECE.records ||
      this.#numbers >= PIECE.numbers ||
      this.#text.length >= PIECE.bytes ||
      isTurnOver()
    );
  }

  /** Hands what was added to the native side, and lets the event loop turn. */
  async flush(): Promise<void> {
    this.#push();
    await nextTurn();
  }

  /** The batch; the writer is empty afterwards. */
  take(): UpsertBatch {
    this.#push();
    const batch = this.#batch ?? this.#newBatch();
    this.#before += this.#records;
    this.#batch = undefined;
    this.#records = 0;
    this.#bytes = 0;
    return batch;
  }

  /**
   * Copies a vector behind the others and returns its length. At once: a generator may write the vectors of all its
   * records into one array.
   */
  #keep(vector: VectorInput, at: number): number {
    const name = `records[${at}].vector`;
    const length = vectorLength(vector, name, this.#where);
    if (length === 0) {
      throw this.#invalid(at, "the vector is empty; leave it out to store a record without one");
    }
    const end = this.#numbers + length;
    if (this.#vectors === noVector && room !== undefined) {
      this.#vectors = room;
      room = undefined;
    }
    if (end > this.#vectors.length) {
      const larger = new Float32Array(Math.max(end, 2 * this.#vectors.length));
      larger.set(this.#vectors.subarray(0, this.#numbers));
      this.#vectors = larger;
    }
    writeVector(vector, this.#vectors.subarray(this.#numbers, end), name, this.#where);
    return length;
  }

  #push(): void {
    if (this.#lengths.length === 0) return;
    const lengths = new Uint32Array(this.#lengths);
    const vectors = this.#vectors.subarray(0, this.#numbers);
    this.#batch ??= this.#newBatch();
    const batch = this.#batch;
    lakeCallNow(this.#where, () => batch.push(this.#text.bytes(), lengths, vectors));
    this.#text.clear();
    this.#lengths = [];
    this.#numbers = 0;
    if (this.#vectors.length <= 2 * PIECE.numbers) room = this.#vectors;
    this.#vectors = noVector;
  }

  #newBatch(): UpsertBatch {
    return lakeCallNow(this.#where, () => new (native().UpsertBatch)());
  }

  #id(id: unknown, at: number): string {
    if (id === undefined) return randomUUID();
    if (typeof id !== "string" || id === "") {
      const given = id === "" ? "an empty string" : describe(id);
      throw this.#error("INVALID_ID", at, `the id must be a non-empty string, not ${given}`);
    }
    // Two such ids could become the same bytes.
    if (/\p{Surrogate}/u.test(id)) {
      throw this.#error("INVALID_ID", at, "the id holds half of a surrogate pair, which has no UTF-8 form");
    }
    return id;
  }

  #json(metadata: unknown, at: number): string {
    if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
      throw this.#invalid(at, `metadata must be an object, not ${describe(metadata)}`);
    }
    try {
      const json: string | undefined = JSON.stringify(metadata);
      if (json?.startsWith("{")) return json;
    } catch (cause) {
      throw this.#error("INVALID_RECORD", at, `metadata is no JSON: ${(cause as Error).message}`, cause);
    }
    throw this.#invalid(at, "metadata must become a JSON object, its toJSON() makes something else of it");
  }

  /** Extra properties are ignored, so that what a search returned can be stored, but not a misspelt one. */
  #checkNames(record: object, at: number): void {
    for (const name in record) {
      if ((PARTS as readonly string[]).includes(name)) continue;
      const meant = didYouMean(name, PARTS);
      if (meant !== undefined && !(meant in record)) {
        throw this.#invalid(at, `unknown property '${name}'; did you mean '${meant}'?`);
      }
    }
  }

  #invalid(at: number, reason: string): LakeError {
    return this.#error("INVALID_RECORD", at, reason);
  }

  #error(code: string, at: number, reason: string, cause?: unknown): LakeError {
    return new LakeError(`${this.#where}: records[${at}]: ${reason}`, {
      code,
      context: { row: at, reason },
      cause,
    });
  }
}
