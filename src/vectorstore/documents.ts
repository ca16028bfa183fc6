import { randomUUID } from "node:crypto";
import type { RecordInput, StoredRecord } from "../lake/records.js";

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
