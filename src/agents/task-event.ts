import type { Artifact, Message, StreamResponse, Task } from "@a2a-js/sdk";
import { type A2APart, fromWireParts, joinTexts, textOf, toWireParts } from "./parts.js";
import { type TaskState, taskStateOf, wireStateOf } from "./task-state.js";

/** The number of the wire enum `Role` for the one who is asked (specification/a2a.proto). */
const ROLE_AGENT = 2;

/** A result of a task, whole. */
export interface A2AArtifact {
  artifactId: string;
  name?: string;
  description?: string;
  /** Neighbouring texts are one part, however many chunks they came in. */
  parts: A2APart[];
  /** The texts among the parts. */
  text: string;
  metadata?: Record<string, unknown>;
}

/**
 * An update of a task.
 *
 * - `status`: it went to another state; `text` is what the peer says about it
 * - `artifact`: a chunk of a result; with `append` it continues the artifact of that id, otherwise it replaces it
 * - `message`: the peer answered without making a task, or said something beside it
 * - `task`: the whole task: at the start of most streams, and after a broken connection. Its `artifacts` replace
 *   everything that came before
 */
export interface A2AEvent {
  type: "status" | "artifact" | "message" | "task";
  /** Empty when the peer answered without making a task. */
  taskId: string;
  contextId: string;
  state?: TaskState;
  /** The texts among `parts`. */
  text?: string;
  parts?: A2APart[];
  artifactId?: string;
  /** Name that the peer gave the artifact. */
  name?: string;
  append?: boolean;
  lastChunk?: boolean;
  /** Peer that it comes from; of {@link A2APeers} only. */
  agentId?: string;
  /** Of `task` events only. */
  artifacts?: A2AArtifact[];
  metadata?: Record<string, unknown>;
}

/** An update of the wire as ours. What this version does not know becomes a `status` with state `unknown`. */
export function toEvent({ payload }: StreamResponse): A2AEvent {
  switch (payload?.$case) {
    case "statusUpdate": {
      const { taskId, contextId, status, metadata } = payload.value;
      const event: A2AEvent = { type: "status", taskId, contextId, state: taskStateOf(status?.state) };
      return withMetadata(withMessage(event, status?.message), metadata);
    }
    case "artifactUpdate": {
      const { taskId, contextId, artifact, append, lastChunk, metadata } = payload.value;
      const parts = fromWireParts(artifact?.parts ?? []);
      const event: A2AEvent = {
        type: "artifact",
        taskId,
        contextId,
        artifactId: artifact?.artifactId ?? "",
        append,
        lastChunk,
        parts,
        text: textOf(parts),
      };
      if (artifact?.name) event.name = artifact.name;
      return withMetadata(event, artifact?.metadata ?? metadata);
    }
    case "message": {
      const { taskId, contextId, metadata } = payload.value;
      return withMetadata(withMessage({ type: "message", taskId, contextId }, payload.value), metadata);
    }
    case "task":
      return taskEvent(payload.value);
    default:
      return { type: "status", taskId: "", contextId: "", state: "unknown" };
  }
}

/** A task of the wire as an event. */
export function taskEvent({ id, contextId, status, artifacts, metadata }: Task): A2AEvent {
  const event: A2AEvent = {
    type: "task",
    taskId: id,
    contextId,
    state: taskStateOf(status?.state),
    artifacts: artifacts.map(toArtifact),
  };
  return withMetadata(withMessage(event, status?.message), metadata);
}

/** The update by which a server says that its agent failed. */
export function failedUpdate(taskId: string, contextId: string, text: string): StreamResponse {
  const message: Message = {
    messageId: "",
    taskId,
    contextId,
    role: ROLE_AGENT,
    parts: toWireParts([{ text }]),
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
  const status = { state: wireStateOf("failed"), message, timestamp: undefined };
  return { payload: { $case: "statusUpdate", value: { taskId, contextId, status, metadata: undefined } } };
}

function withMessage(event: A2AEvent, message: Message | undefined): A2AEvent {
  if (message === undefined) return event;
  event.parts = fromWireParts(message.parts);
  event.text = textOf(event.parts);
  return event;
}

function withMetadata(event: A2AEvent, metadata: Record<string, unknown> | undefined): A2AEvent {
  if (metadata !== undefined && Object.keys(metadata).length > 0) event.metadata = metadata;
  return event;
}

function toArtifact({ artifactId, name, description, parts, metadata }: Artifact): A2AArtifact {
  const own = joinTexts(fromWireParts(parts));
  const artifact: A2AArtifact = { artifactId, parts: own, text: textOf(own) };
  if (name !== "") artifact.name = name;
  if (description !== "") artifact.description = description;
  if (metadata !== undefined && Object.keys(metadata).length > 0) artifact.metadata = metadata;
  return artifact;
}
