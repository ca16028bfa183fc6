import type { RecordInput, StoredRecord } from "../lake/records.js";

/**
 * Where a record's metadata keeps what a node has beyond id, text, metadata and vector. The node's own metadata stays at the
 * top level, so that filters, and readers that know nothing of LlamaIndex, find it there.
 */
const NODE_KEY = "_node";

/** Path of the id of the document a node came from; its own id for a node without a source. */
export const REF_DOC_PATH = `${NODE_KEY}.refDocId`;

/** A node as `BaseNode.toJSON` writes it. */
export interface NodeJson {
  id_: string;
  type: string;
  hash?: string;
  text?: string;
  metadata: Record<string, unknown>;
  [field: string]: unknown;
}

/** What is stored below {@link NODE_KEY}. */
interface StoredNode {
  refDocId: string;
  /** Fields of the node, `type`, `hash` and `relationships` among them. */
  fields: Record<string, unknown>;
  /** The node's own metadata of the name {@link NODE_KEY}. */
  shadowed?: unknown;
}

/** Metadata of a record that holds a node. */
export type NodeMetadata = Record<string, unknown>;

/** The record that stores a node. */
export function nodeToRecord(
  json: NodeJson,
  vector: readonly number[] | Float32Array,
  refDocId: string,
): RecordInput<NodeMetadata> {
  const { id_: id, text = "", metadata, embedding: _, ...fields } = json;
  // The text of a record is UTF-8, which has no place for half a surrogate pair; splitters do cut pairs apart.
  if (/\p{Surrogate}/u.test(text)) fields.text = text;
  if (typeof fields.image === "object" && fields.image instanceof Blob) delete fields.image;
  const stored: StoredNode = { refDocId, fields };
  if (NODE_KEY in metadata) stored.shadowed = metadata[NODE_KEY];
  return { id, vector, text, metadata: { ...metadata, [NODE_KEY]: stored } };
}

/** The node a record was made from, without its vector. A record that never was a node becomes a text node. */
export function recordToNode(record: StoredRecord<NodeMetadata>): NodeJson {
  const { [NODE_KEY]: stored, ...metadata } = record.metadata ?? {};
  const base = { id_: record.id, text: record.text ?? "", metadata };
  if (!isStoredNode(stored)) {
    if (stored !== undefined) metadata[NODE_KEY] = stored;
    return { ...base, type: "TEXT" };
  }
  if ("shadowed" in stored) metadata[NODE_KEY] = stored.shadowed;
  return { ...base, type: "TEXT", ...stored.fields };
}

function isStoredNode(value: unknown): value is StoredNode {
  if (typeof value !== "object" || value === null) return false;
  const { refDocId, fields } = value as Partial<StoredNode>;
  return typeof refDocId === "string" && typeof fields === "object" && fields !== null;
}
