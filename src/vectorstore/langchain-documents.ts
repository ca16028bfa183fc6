import { types } from "node:util";
import { Document } from "@langchain/core/documents";
import { LakeError } from "../errors.js";
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
  return (record) => isAccepted(filter(toDocument(record)));
}

/** A promise would count as true, and the filter let everything pass. */
function isAccepted(verdict: unknown): boolean {
  if (!types.isPromise(verdict)) return Boolean(verdict);
  verdict.catch(() => {});
  throw new LakeError("invalid filter: the function returned a promise", {
    code: "INVALID_FILTER",
    hint: "give a function that answers at once, or a filter object such as { lang: 'en' }",
  });
}
