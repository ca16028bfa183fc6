import type { Part } from "@a2a-js/sdk";

/** A file within a message or an artifact: its bytes, or where they are. */
export interface A2AFile {
  name?: string;
  /** For instance `text/csv`. */
  mediaType?: string;
  bytes?: Uint8Array;
  /** Never fetched by this package. */
  url?: string;
}

/** A piece of a message or an artifact. */
export type A2APart = { text: string } | { data: unknown } | { file: A2AFile };

/** Parts of the wire as ours; what has no content is left out. */
export function fromWireParts(parts: readonly Part[]): A2APart[] {
  const found: A2APart[] = [];
  for (const { content, filename, mediaType } of parts) {
    if (content === undefined) continue;
    if (content.$case === "text") found.push({ text: content.value });
    else if (content.$case === "data") found.push({ data: content.value });
    else {
      const file: A2AFile =
        content.$case === "url" ? { url: content.value } : { bytes: new Uint8Array(content.value) };
      if (filename !== "") file.name = filename;
      if (mediaType !== "") file.mediaType = mediaType;
      found.push({ file });
    }
  }
  return found;
}

/** Our parts as those of the wire. */
export function toWireParts(parts: readonly A2APart[]): Part[] {
  return parts.map((part) => {
    const wire: Part = { content: undefined, metadata: undefined, filename: "", mediaType: "" };
    if ("text" in part) {
      wire.content = { $case: "text", value: part.text };
      wire.mediaType = "text/plain";
    } else if ("data" in part) {
      wire.content = { $case: "data", value: part.data };
      wire.mediaType = "application/json";
    } else {
      const { bytes, url, name, mediaType } = part.file;
      wire.content =
        bytes === undefined
          ? { $case: "url", value: url ?? "" }
          : { $case: "raw", value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
      wire.filename = name ?? "";
      wire.mediaType = mediaType ?? "application/octet-stream";
    }
    return wire;
  });
}

/** The texts of parts, one after the other as they stand. */
export function textOf(parts: readonly A2APart[]): string {
  let text = "";
  for (const part of parts) if ("text" in part) text += part.text;
  return text;
}

/** Parts with neighbouring texts joined: chunks of a stream as the whole they are pieces of. */
export function joinTexts(parts: readonly A2APart[]): A2APart[] {
  const joined: A2APart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if ("text" in part && last !== undefined && "text" in last) {
      joined[joined.length - 1] = { text: last.text + part.text };
    } else joined.push(part);
  }
  return joined;
}
