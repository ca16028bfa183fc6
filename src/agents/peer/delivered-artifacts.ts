import { joinTexts, textOf } from "./parts.js";
import type { A2AArtifact, A2AEvent } from "./task-event.js";

interface Delivered {
  text: string;
  /** Parts that are no text. */
  others: number;
}

/**
 * What the consumer of a stream has of each artifact already, so that after a broken connection it gets what it missed
 * and nothing twice.
 */
export class DeliveredArtifacts {
  readonly #known = new Map<string, Delivered>();

  /** Notes a chunk that is about to be given out. */
  add({ artifactId = "", append, parts = [], text = textOf(parts) }: A2AEvent): void {
    let others = 0;
    for (const part of parts) if (!("text" in part)) others++;
    const known = append ? this.#known.get(artifactId) : undefined;
    if (known === undefined) this.#known.set(artifactId, { text, others });
    else {
      known.text += text;
      known.others += others;
    }
  }

  /** Takes the artifacts of a snapshot for given out. */
  replace(artifacts: readonly A2AArtifact[]): void {
    this.#known.clear();
    for (const { artifactId, parts } of artifacts) this.add({ ...blank, artifactId, parts });
  }

  /**
   * The chunks that lead from what was given out to a snapshot: the rest of an artifact where it was cut off, the whole
   * where it became another.
   */
  missing({ taskId, contextId, artifacts = [] }: A2AEvent): A2AEvent[] {
    const chunks: A2AEvent[] = [];
    for (const { artifactId, name, parts, text, metadata } of artifacts) {
      const known = this.#known.get(artifactId);
      const others = parts.filter((part) => !("text" in part));
      const continues = known !== undefined && text.startsWith(known.text) && others.length >= known.others;
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

const blank: A2AEvent = { type: "artifact", taskId: "", contextId: "", append: false };
