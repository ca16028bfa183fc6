import { randomUUID } from "node:crypto";
import type { RecordInput, StoredRecord } from "../lake/records.js";
import { lengthMismatch } from "./location.js";

/** A text with metadata, as LangChain's `Document` has it. */
export interface TextDocument<Meta extends object> {
  id?: string | undefined;
  pageContent: string;
  metadata: Meta;
}

/**
 * The id of every document: the one given for its position, else its own, else a new UUID.
 *
 * @throws ConfigError `LENGTH_MISMATCH` when ids are given, but not one for each document
 */
export function chooseIds(
  documents: readonly { id?: string | undefined }[],
  given: readonly (string | undefined)[] | undefined,
  where: string,
): string[] {
  if (given !== undefined && given.length !== documents.length) {
    throw lengthMismatch(where, "ids", given.length, documents.length);
  }
  return documents.map((document, i) => given?.[i] ?? document.id ?? randomUUID());
}

/** The record that stores a document. */
export function documentToRecord<Meta extends object>(
  document: TextDocument<Meta>,
  id: string,
  vector: Float32Array | readonly number[],
): RecordInput<Meta> {
  return { id, vector, text: document.pageContent, metadata: document.metadata ?? ({} as Meta) };
}

/** The fields of the document a record was made from, with its id. */
export function recordToDocument<Meta extends object>(
  record: StoredRecord<Meta>,
): Required<TextDocument<Meta>> & { id: string } {
  return { id: record.id, pageContent: record.text ?? "", metadata: record.metadata ?? ({} as Meta) };
}
