import { randomUUID } from "node:crypto";
import type { RecordInput, StoredRecord } from "../lake/records.js";
import { lengthMismatch } from "./store-options.js";

/** A text with metadata, as LangChain's `Document` has it. */
export interface TextDocument<Meta extends object> {
  id?: string | undefined;
  pageContent: string;
  metadata: Meta;
}

/** The id of a document: the one given for it, else its own, else a new UUID. */
export function chooseId(document: { id?: string | undefined }, given: string | undefined): string {
  return given ?? document.id ?? randomUUID();
}

/**
 * Documents of texts.
 *
 * @param metadatas - one for each text, one object for all, or `[]` for none
 * @throws ConfigError `LENGTH_MISMATCH`
 */
export function textsToDocuments<Meta extends object>(
  texts: readonly string[],
  metadatas: readonly Meta[] | Meta,
  where: string,
): { pageContent: string; metadata: Meta }[] {
  if (!isList(metadatas)) return texts.map((pageContent) => ({ pageContent, metadata: { ...metadatas } }));
  if (metadatas.length !== 0 && metadatas.length !== texts.length) {
    throw lengthMismatch(where, "metadatas", metadatas.length, texts.length);
  }
  return texts.map((pageContent, i) => ({ pageContent, metadata: metadatas[i] ?? ({} as Meta) }));
}

function isList<Meta extends object>(metadatas: readonly Meta[] | Meta): metadatas is readonly Meta[] {
  return Array.isArray(metadatas);
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
