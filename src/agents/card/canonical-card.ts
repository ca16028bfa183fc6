import { A2AError } from "../../errors.js";
import { CARD_SHAPE, isObject, project } from "./card-shape.js";

/**
 * Which bytes a signature of a card is over:
 *
 * - `sdk`: known fields, all empty values left out, RFC 8785 - what the SDKs of 1.0 sign;
 * - `spec`: known fields, required ones even if empty, RFC 8785 - what the text of the specification says (8.4.1);
 * - `raw`: everything but `signatures`, RFC 8785;
 * - `sdk-0.3`: without empty and default values, sorted by code points, in ASCII - what the Python SDK 0.3 signs;
 * - `ruvector`: the profile of `metadata.ruvector.signature`.
 */
export type CanonicalForm = "sdk" | "spec" | "raw" | "sdk-0.3" | "ruvector";

/** The bytes that may have been signed, as text. */
export interface CanonicalPayload {
  form: CanonicalForm;
  text: string;
}

/**
 * The payloads that a signature of a card may be over, in the order in which they are tried, and each made when it is
 * asked for; `undefined` where the work on the next one can be interrupted. Made from the JSON as it came: objects that an SDK decoded have lost fields.
 *
 * Sources: A2A 1.0, 8.4; a2aproject/A2A#2122 and a2aproject/a2a-js#627 on the two readings of it.
 */
export function* canonicalPayloads(card: Record<string, unknown>): Generator<CanonicalPayload | undefined> {
  const { signatures: _, ...unsigned } = card;
  if (isLegacyCard(card)) {
    const text = pythonJson(withoutEmpty(withoutLegacyDefaults(unsigned)) ?? {});
    yield { form: "sdk-0.3", text };
  } else {
    const known = project(card, CARD_SHAPE);
    yield undefined;
    const filled = withoutEmpty(known) ?? {};
    yield undefined;
    yield { form: "sdk", text: jcs(filled) };
    yield { form: "spec", text: jcs(known) };
  }
  yield { form: "raw", text: jcs(unsigned) };
}

/** Whether a card is one of A2A 0.3: of both kinds of fields, those of 1.0 count. */
export function isLegacyCard(card: Record<string, unknown>): boolean {
  return !Array.isArray(card.supportedInterfaces) && typeof card.url === "string";
}

/**
 * JSON in the one form that RFC 8785 (JCS) gives it. `JSON.stringify` writes numbers and texts as it demands, since it
 * was modelled on ECMAScript; names are sorted by UTF-16 code units.
 *
 * @throws {@link A2AError} `CARD_INVALID` for a number that JSON can write and a double cannot hold
 */
export function jcs(value: unknown): string {
  return sortedJson(value, (names) => names.sort(), JSON.stringify);
}

/** `json.dumps(value, separators=(",", ":"), sort_keys=True)` of Python: sorted by code points, in ASCII. */
function pythonJson(value: unknown): string {
  const byCodePoint = (names: string[]) =>
    names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const inAscii = (leaf: unknown) =>
    JSON.stringify(leaf).replace(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  return sortedJson(value, byCodePoint, inAscii);
}

function sortedJson(
  value: unknown,
  sort: (names: string[]) => string[],
  leaf: (value: unknown) => string,
): string {
  if (Array.isArray(value)) return `[${value.map((item) => sortedJson(item, sort, leaf)).join(",")}]`;
  if (isObject(value)) {
    const fields = sort(Object.keys(value)).map(
      (name) => `${leaf(name)}:${sortedJson(value[name], sort, leaf)}`,
    );
    return `{${fields.join(",")}}`;
  }
  if (typeof value !== "number" || Number.isFinite(value)) return leaf(value);
  throw new A2AError("The agent card has a number that is too large", { code: "CARD_INVALID" });
}

/** Without what is empty, at any depth: nulls, texts, lists and objects, also those that become so. */
function withoutEmpty(value: unknown): unknown {
  if (value === "" || value === null) return undefined;
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value) {
      const kept = withoutEmpty(item);
      if (kept !== undefined) items.push(kept);
    }
    return items.length === 0 ? undefined : items;
  }
  if (!isObject(value)) return value;
  const fields: Record<string, unknown> = {};
  let isEmpty = true;
  for (const key of Object.keys(value)) {
    const kept = withoutEmpty(value[key]);
    if (kept === undefined) continue;
    fields[key] = kept;
    isEmpty = false;
  }
  return isEmpty ? undefined : fields;
}

/** The defaults of the models of the Python SDK 0.3, which leave no trace in what it signs. */
const LEGACY_DEFAULTS = { preferredTransport: "JSONRPC", protocolVersion: "0.3.0" };

function withoutLegacyDefaults(card: Record<string, unknown>): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...card };
  for (const [name, value] of Object.entries(LEGACY_DEFAULTS)) {
    if (fields[name] === value) delete fields[name];
  }
  if (isObject(fields.securitySchemes)) {
    const schemes = Object.entries(fields.securitySchemes).map(([name, scheme]) => {
      if (!isObject(scheme)) return [name, scheme];
      const { type: _, ...rest } = scheme;
      return [name, rest];
    });
    fields.securitySchemes = Object.fromEntries(schemes);
  }
  return fields;
}
