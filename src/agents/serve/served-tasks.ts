import type { ListTasksRequest, ListTasksResponse, Part, Task } from "@a2a-js/sdk";
import type { ServerCallContext, TaskStore } from "@a2a-js/sdk/server";
import { endsStream, isTerminal, taskStateOf, wireStateOf } from "../peer/task-state.js";
import { statusMessage } from "./status-message.js";
import type { TaskJournal } from "./task-journal.js";

const PAGE_SIZE = 50;

/** How long closing waits for tasks that are being canceled, in milliseconds. */
const CLOSE_MS = 500;

/**
 * The tasks of a served agent, in memory and, if it has one, in a journal: of each caller its own, and of those that are
 * over only the latest. With a journal, a state is durable before the caller hears of it.
 *
 * The store of the SDK copies a task deeply for every piece of its answer, which makes long answers quadratic; this one
 * copies what the SDK changes in place, and joins the pieces.
 */
export class ServedTasks implements TaskStore {
  /** Most tasks that are kept after their end. */
  readonly #kept: number;
  readonly #onSave: (taskId: string) => void;
  /** By caller and id, in order of last change. */
  readonly #tasks = new Map<string, Task>();
  readonly #ended = new Set<string>();
  readonly #journal: TaskJournal | undefined;

  /** @param onSave - told the task of every update that was taken in */
  constructor(kept: number, onSave: (taskId: string) => void, journal?: TaskJournal) {
    this.#kept = kept;
    this.#onSave = onSave;
    this.#journal = journal;
  }

  /**
   * Brings back the tasks of the journal. Those that ran when the server ended have failed: nobody works on them any more.
   *
   * @throws {@link LakeError} what opening and reading a collection end with
   */
  async open(): Promise<void> {
    if (this.#journal === undefined) return;
    const found = await this.#journal.open();
    this.#tasks.clear();
    this.#ended.clear();
    for (const [key, task] of found) {
      const isOver = endsStream(taskStateOf(task.status?.state));
      this.#keep(key, isOver ? task : interrupted(task));
      if (!isOver) this.#journal.note(key, this.#tasks.get(key));
    }
    this.#forget();
    await this.#journal.flush();
  }

  /** Waits a little for tasks that are being canceled, and closes the journal. */
  async close(): Promise<void> {
    if (this.#journal === undefined) return;
    const isRunning = () =>
      [...this.#tasks.values()].some((task) => !endsStream(taskStateOf(task.status?.state)));
    for (const end = performance.now() + CLOSE_MS; isRunning() && performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await this.#journal.close();
  }

  /** Number of tasks held. */
  get size(): number {
    return this.#tasks.size;
  }

  async load(taskId: string, context: ServerCallContext): Promise<Task | undefined> {
    const task = this.#tasks.get(keyOf(taskId, context));
    return task === undefined ? undefined : copyOf(task);
  }

  async save(task: Task, context: ServerCallContext): Promise<void> {
    this.#onSave(task.id);
    const key = keyOf(task.id, context);
    const kept = copyOf(task);
    for (const artifact of kept.artifacts) artifact.parts = joined(artifact.parts);
    const isNews = this.#tasks.get(key)?.status?.state !== kept.status?.state;
    this.#keep(key, kept);
    this.#journal?.note(key, kept);
    this.#forget();
    if (isNews) await this.#journal?.flush();
  }

  #keep(key: string, task: Task): void {
    this.#tasks.delete(key);
    this.#tasks.set(key, task);
    if (isTerminal(taskStateOf(task.status?.state))) this.#ended.add(key);
  }

  /** Lets go of the tasks that were over first. */
  #forget(): void {
    for (const oldest of this.#ended) {
      if (this.#ended.size <= this.#kept) break;
      this.#ended.delete(oldest);
      this.#tasks.delete(oldest);
      this.#journal?.note(oldest, undefined);
    }
  }

  async list(request: ListTasksRequest, context: ServerCallContext): Promise<ListTasksResponse> {
    const {
      contextId,
      status,
      pageSize = PAGE_SIZE,
      pageToken,
      statusTimestampAfter,
      includeArtifacts,
    } = request;
    const after = statusTimestampAfter === undefined ? undefined : Date.parse(statusTimestampAfter);
    const prefix = keyOf("", context);
    const found = [...this.#tasks.entries()]
      .filter(([key, task]) => {
        if (!key.startsWith(prefix)) return false;
        if (contextId && task.contextId !== contextId) return false;
        if (status && task.status?.state !== status) return false;
        return after === undefined || Date.parse(task.status?.timestamp ?? "") > after;
      })
      .map(([, task]) => task)
      .reverse();
    const start = pageToken ? found.findIndex(({ id }) => id === pageToken) + 1 : 0;
    const page = pageToken && start === 0 ? [] : found.slice(start, start + pageSize);
    const isLast = start + page.length >= found.length;
    return {
      tasks: page.map((task) => (includeArtifacts ? copyOf(task) : { ...copyOf(task), artifacts: [] })),
      nextPageToken: isLast ? "" : (page.at(-1)?.id ?? ""),
      pageSize,
      totalSize: found.length,
    };
  }
}

/** Ids contain no NUL: keys of one caller start alike, and those of another do not. */
function keyOf(taskId: string, { user, tenant }: ServerCallContext): string {
  return `${tenant ?? ""}\0${user?.isAuthenticated ? `=${user.userName}` : ""}\0${taskId}`;
}

function interrupted(task: Task): Task {
  const message = statusMessage(
    task.id,
    task.contextId,
    "The agent was stopped while it worked on the task.",
  );
  return { ...task, status: { state: wireStateOf("failed"), message, timestamp: new Date().toISOString() } };
}

/** Copies what the SDK assigns to: the lists, and the artifacts in them. */
function copyOf(task: Task): Task {
  return {
    ...task,
    artifacts: (task.artifacts ?? []).map((artifact) => ({ ...artifact })),
    history: [...(task.history ?? [])],
  };
}

function joined(parts: readonly Part[]): Part[] {
  const result: Part[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (
      part.content?.$case === "text" &&
      last?.content?.$case === "text" &&
      part.mediaType === last.mediaType
    ) {
      const value = last.content.value + part.content.value;
      result[result.length - 1] = { ...last, content: { $case: "text", value } };
    } else result.push(part);
  }
  return result;
}
