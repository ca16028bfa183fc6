import { Document } from "@langchain/core/documents";
import type { StoredRecord } from "../lake/records.js";
import type { RecordFilter } from "./document-store.js";
import { recordToDocument } from "./documents.js";
import type { DocumentFilter } from "./langchain-options.js";

/** LangChain's document of a record. */
export function toDocument<Meta extends object>(record: StoredRecord<Meta>): Document<Meta> {
  return new Document<Meta>(recordToDocument(record));
}

/** LangChain's functions judge documents, the store's records. */
export function onDocuments<Meta extends object>(filter: DocumentFilter<Meta>): RecordFilter<Meta> {
  if (typeof filter !== "function") return filter;
  return (record) => filter(toDocument(record));
}
