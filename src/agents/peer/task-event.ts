import type { Artifact, Message, StreamResponse, Task } from "@a2a-js/sdk";
import { type A2APart, fromWireParts, joinTexts, textOf } from "./parts.js";
import { type TaskState, taskStateOf } from "./task-state.js";

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

interface ChunkJson {
  taskId?: unknown;
  contextId?: unknown;
  append?: unknown;
  lastChunk?: unknown;
  metadata?: unknown;
  artifact?: { artifactId?: unknown; name?: unknown; metadata?: unknown; parts?: unknown };
}

/**
 * The JSON of an update of protocol 1.0 as an event, if it is a chunk of plain text: the one kind that comes in thousands,
 * and for which the detour over the types of the SDK would be a good part of the cost. `undefined` for everything else.
 */
export function textChunk(json: object): A2AEvent | undefined {
  const update = (json as { artifactUpdate?: ChunkJson }).artifactUpdate;
  const { artifactId, name, metadata, parts } = update?.artifact ?? {};
  if (update === undefined || !Array.isArray(parts) || parts.length !== 1) return undefined;
  if (name !== undefined || metadata !== undefined || update.metadata !== undefined) return undefined;
  const { taskId, contextId, append = false, lastChunk = false } = update;
  const text: unknown = (parts[0] as { text?: unknown } | null)?.text;
  if (typeof text !== "string" || typeof taskId !== "string" || typeof contextId !== "string")
    return undefined;
  if (typeof artifactId !== "string" || typeof append !== "boolean" || typeof lastChunk !== "boolean")
    return undefined;
  return { type: "artifact", taskId, contextId, artifactId, append, lastChunk, parts: [{ text }], text };
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
