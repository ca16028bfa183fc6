import { A2AError } from "../../errors.js";

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/** What a line of an event starts with that holds data. */
const FIELD = Buffer.from("data:");

/** Longest string token that can spell `__proto__`: each of its nine letters as `\uXXXX`. */
const LONGEST_KEY = 9 * 6;

/**
 * Looks through JSON as its bytes arrive, before a parser sees them, and refuses what costs parsers and those behind
 * them their stack or their prototypes: too deep nesting, and keys named `__proto__` in whatever spelling; on demand
 * also too many values. It does not check the grammar.
 *
 * @example
 * ```ts
 * const scan = new JsonScan(64);
 * for await (const chunk of body) scan.push(chunk);
 * ```
 */
export class JsonScan {
  readonly #maxDepth: number;
  readonly #events: boolean;
  readonly #maxValues: number;
  /** Objects and lists that were opened, and commas. */
  #values = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Bytes of the string that is being read or was read last; longer ones than any spelling of the key are cut off. */
  readonly #token = new Uint8Array(LONGEST_KEY);
  #length = 0;
  /** The last string spells the key: a colon would make it one. */
  #suspicious = false;
  /** Bytes of this line; they are counted as far as the name of a field reaches. */
  #column = 0;
  /** This line is another field of an event than its data. */
  #skipLine = false;
  #afterCR = false;

  /**
   * @param events - the JSON is the data of server-sent events: each blank line starts anew
   * @param maxValues - objects, lists and what follows a comma
   */
  constructor(maxDepth: number, events = false, maxValues = Number.POSITIVE_INFINITY) {
    this.#maxDepth = maxDepth;
    this.#events = events;
    this.#maxValues = maxValues;
  }

  /** @throws {@link A2AError} `JSON_REFUSED` */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#inString) at = this.#readString(bytes, at);
      const byte = bytes[at];
      if (byte === undefined) return;
      if (byte === LF || byte === CR) this.#endLine(byte);
      else if (!this.#events || this.#isData(byte)) this.#read(byte);
    }
  }

  #read(byte: number): void {
    if (byte === QUOTE) this.#quote();
    else if (byte === 0x7b || byte === 0x5b) this.#open();
    else if (byte === 0x7d || byte === 0x5d) this.#depth--;
    else if (byte === COMMA) this.#count();
    else if (this.#suspicious && byte > 0x20) {
      if (byte === COLON) throw refusedJson("a key is named '__proto__'");
      this.#suspicious = false;
    }
  }

  /** Whether a byte is part of the data of an event; the names of fields and other fields are not. */
  #isData(byte: number): boolean {
    this.#afterCR = false;
    if (this.#skipLine) return false;
    if (this.#column >= FIELD.length) return true;
    this.#skipLine = byte !== FIELD[this.#column];
    this.#column++;
    return false;
  }

  /** @returns the position of what ends the string: its quote, or a line end, which no string in JSON has */
  #readString(bytes: Uint8Array, from: number): number {
    let escaped = this.#escaped;
    let at = from;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if ((byte === QUOTE && !escaped) || byte === LF || byte === CR) break;
      if (this.#length < LONGEST_KEY) this.#token[this.#length] = byte;
      this.#length++;
      escaped = byte === BACKSLASH && !escaped;
    }
    this.#escaped = escaped;
    return at;
  }

  #quote(): void {
    if (this.#inString) this.#suspicious = this.#spellsProto();
    else this.#length = 0;
    this.#inString = !this.#inString;
    this.#escaped = false;
  }

  #endLine(byte: number): void {
    this.#inString = false;
    this.#escaped = false;
    const pair = byte === LF && this.#afterCR;
    this.#afterCR = byte === CR;
    if (pair || !this.#events) return;
    if (this.#column === 0) {
      this.#depth = 0;
      this.#suspicious = false;
    }
    this.#column = 0;
    this.#skipLine = false;
  }

  #open(): void {
    this.#suspicious = false;
    this.#count();
    if (++this.#depth > this.#maxDepth) throw refusedJson(`it is nested deeper than ${this.#maxDepth}`);
  }

  #count(): void {
    this.#suspicious = false;
    if (++this.#values > this.#maxValues) throw refusedJson(`it has more than ${this.#maxValues} values`);
  }

  #spellsProto(): boolean {
    if (this.#length < 9 || this.#length > LONGEST_KEY) return false;
    const first = this.#token[0];
    if (first !== 0x5f && first !== BACKSLASH) return false;
    const text = new TextDecoder().decode(this.#token.subarray(0, this.#length));
    const unescaped = text.replace(/\\u([0-9a-f]{4})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    return unescaped === "__proto__";
  }
}

/**
 * Parses JSON that a peer sent.
 *
 * @throws {@link A2AError} `JSON_REFUSED` when it is too deep, has a key `__proto__`, or is no JSON
 */
export function parseJson(bytes: Uint8Array, maxDepth: number): unknown {
  new JsonScan(maxDepth).push(bytes);
  return parseScanned(bytes);
}

/** Parses JSON that was looked through already. Throws as {@link parseJson} does. */
export function parseScanned(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's own message quotes the text, which may hold secrets.
    throw refusedJson("it is no JSON in UTF-8");
  }
}

/** The error for JSON that is refused. */
export function refusedJson(why: string): A2AError {
  return new A2AError(`The peer sent JSON that is refused: ${why}`, {
    code: "JSON_REFUSED",
    context: { why },
  });
}
