import { createHash } from "node:crypto";
import { GivenText } from "./given-text.js";
import { joinTexts, textOf } from "./parts.js";
import type { A2AArtifact, A2AEvent } from "./task-event.js";

interface Delivered {
  text: GivenText;
  /** Parts that are no text. */
  others: number;
}

/** Code units of all artifacts together that are kept as they are. */
const MOST_HELD = 1024 * 1024;

/** Longer ids are known by their digest. */
const LONGEST_ID = 200;

/**
 * What the consumer of a stream has of each artifact already, so that after a broken connection it gets what it missed
 * and nothing twice.
 */
export class DeliveredArtifacts {
  readonly #known = new Map<string, Delivered>();
  #held = 0;
  #last: { artifactId: string; known: Delivered } | undefined;

  /** Notes a chunk that is about to be given out. */
  add({ artifactId = "", append, parts = [], text = textOf(parts) }: A2AEvent): void {
    let others = 0;
    for (const part of parts) if (!("text" in part)) others++;
    const last = this.#last;
    if (append && others === 0 && last?.artifactId === artifactId) {
      // One more piece of what is being said: nearly all there is.
      this.#held -= last.known.text.held;
      last.known.text.add(text);
      this.#held += last.known.text.held;
      return;
    }
    const key = keyOf(artifactId);
    const before = this.#known.get(key);
    this.#held -= before?.text.held ?? 0;
    const known = (append ? before : undefined) ?? { text: new GivenText(), others: 0 };
    if (known !== before) this.#known.set(key, known);
    known.text.add(text);
    known.others += others;
    if (this.#held + known.text.held > MOST_HELD) known.text.fold();
    this.#held += known.text.held;
    this.#last = { artifactId, known };
  }

  /** Takes the artifacts of a snapshot for given out. */
  replace(artifacts: readonly A2AArtifact[]): void {
    this.#known.clear();
    this.#held = 0;
    this.#last = undefined;
    for (const { artifactId, parts } of artifacts) this.add({ ...blank, artifactId, parts });
  }

  /**
   * The chunks that lead from what was given out to a snapshot: the rest of an artifact where it was cut off, the whole
   * where it became another.
   */
  missing({ taskId, contextId, artifacts = [] }: A2AEvent): A2AEvent[] {
    const chunks: A2AEvent[] = [];
    for (const { artifactId, name, parts, text, metadata } of artifacts) {
      const known = this.#known.get(keyOf(artifactId));
      const others = parts.filter((part) => !("text" in part));
      const continues = known?.text.isStartOf(text) === true && others.length >= known.others;
      if (continues && text.length === known.text.length && others.length === known.others) continue;
      const rest = continues
        ? joinTexts([{ text: text.slice(known.text.length) }, ...others.slice(known.others)])
        : parts;
      const chunk: A2AEvent = {
        type: "artifact",
        taskId,
        contextId,
        artifactId,
        append: continues,
        lastChunk: false,
        parts: rest.filter((part) => !("text" in part) || part.text !== ""),
        text: textOf(rest),
      };
      if (name !== undefined) chunk.name = name;
      if (metadata !== undefined) chunk.metadata = metadata;
      chunks.push(chunk);
    }
    return chunks;
  }
}

function keyOf(artifactId: string): string {
  if (artifactId.length <= LONGEST_ID) return artifactId;
  return `sha256:${createHash("sha256").update(artifactId, "utf16le").digest("base64url")}`;
}

const blank: A2AEvent = { type: "artifact", taskId: "", contextId: "", append: false };
