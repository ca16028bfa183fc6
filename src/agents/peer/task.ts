import { type A2APart, joinTexts, textOf } from "./parts.js";
import type { A2AArtifact, A2AEvent } from "./task-event.js";
import type { TaskState } from "./task-state.js";

/** A task of a peer as far as it is known. */
export interface A2ATask {
  /** Empty when the peer answered with a message and made no task. */
  taskId: string;
  contextId: string;
  /** `completed` for an answer without a task. */
  state: TaskState;
  /** The answer: the texts of the artifacts, or of the last message when there are none. */
  text: string;
  /** What the peer said last beside its artifacts: a question, a reason, an answer. */
  message?: { text: string; parts: A2APart[] };
  artifacts: A2AArtifact[];
  metadata?: Record<string, unknown>;
}

interface Growing {
  artifact: A2AArtifact;
  /** Chunks so far; joined when the task is asked for, so that a long stream is not copied chunk by chunk. */
  parts: A2APart[];
}

/** Puts the updates of one task together. */
export class TaskAssembly {
  #taskId = "";
  #contextId = "";
  #state: TaskState = "submitted";
  #message: A2ATask["message"];
  #metadata: Record<string, unknown> | undefined;
  readonly #artifacts = new Map<string, Growing>();

  /** Takes the next update. */
  add(event: A2AEvent): void {
    if (event.taskId !== "") this.#taskId = event.taskId;
    if (event.contextId !== "") this.#contextId = event.contextId;
    if (event.type === "artifact") {
      this.#addChunk(event);
      return;
    }
    if (event.state !== undefined) this.#state = event.state;
    else if (event.type === "message" && event.taskId === "") this.#state = "completed";
    if (event.parts !== undefined && event.parts.length > 0) {
      this.#message = { text: event.text ?? "", parts: event.parts };
    }
    if (event.metadata !== undefined) this.#metadata = { ...this.#metadata, ...event.metadata };
    if (event.artifacts !== undefined) {
      this.#artifacts.clear();
      for (const artifact of event.artifacts) {
        this.#artifacts.set(artifact.artifactId, { artifact, parts: [...artifact.parts] });
      }
    }
  }

  #addChunk({ artifactId = "", append, parts = [], name, metadata }: A2AEvent): void {
    const known = this.#artifacts.get(artifactId);
    if (append && known !== undefined) {
      known.parts.push(...parts);
      if (metadata !== undefined) known.artifact.metadata = { ...known.artifact.metadata, ...metadata };
      return;
    }
    const artifact: A2AArtifact = { artifactId, parts: [], text: "" };
    if (name !== undefined) artifact.name = name;
    if (metadata !== undefined) artifact.metadata = metadata;
    this.#artifacts.set(artifactId, { artifact, parts: [...parts] });
  }

  /** The task as it stands. */
  get task(): A2ATask {
    const artifacts = [...this.#artifacts.values()].map(({ artifact, parts }) => {
      const joined = joinTexts(parts);
      return { ...artifact, parts: joined, text: textOf(joined) };
    });
    const written = artifacts.map(({ text }) => text).filter((text) => text !== "");
    const task: A2ATask = {
      taskId: this.#taskId,
      contextId: this.#contextId,
      state: this.#state,
      text: written.length > 0 ? written.join("\n\n") : (this.#message?.text ?? ""),
      artifacts,
    };
    if (this.#message !== undefined) task.message = this.#message;
    if (this.#metadata !== undefined) task.metadata = this.#metadata;
    return task;
  }
}

/** The task that a `task` event shows. */
export function taskOf(event: A2AEvent): A2ATask {
  const assembly = new TaskAssembly();
  assembly.add(event);
  return assembly.task;
}
