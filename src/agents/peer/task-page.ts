import type { ListTasksRequest, ListTasksResponse } from "@a2a-js/sdk";
import { invalidOption } from "../../options.js";
import type { PeerCallOptions } from "./peer-options.js";
import { type A2ATask, taskOf } from "./task.js";
import { taskEvent } from "./task-event.js";
import { type TaskState, taskStates, wireStateOf } from "./task-state.js";

/** Options of {@link A2APeer.list}. */
export interface ListTasksOptions extends PeerCallOptions {
  contextId?: string;
  state?: TaskState;
  /** 1 to 100. Default 50. */
  pageSize?: number;
  /** `nextPageToken` of the page before. */
  pageToken?: string;
}

/** Names of {@link ListTasksOptions} besides those of every call. */
export const LIST_NAMES = ["contextId", "state", "pageSize", "pageToken"];

/** A page of tasks. */
export interface TaskPage {
  tasks: A2ATask[];
  /** Missing on the last page. */
  nextPageToken?: string;
}

/** @throws {@link ConfigError} `INVALID_OPTION` */
export function toListRequest(options: ListTasksOptions, tenant: string, where: string): ListTasksRequest {
  const { contextId = "", state, pageSize, pageToken = "" } = options;
  if (state !== undefined && !taskStates.includes(state))
    throw invalidOption(where, "state", "a task state", state);
  return {
    tenant,
    contextId,
    status: state === undefined ? 0 : wireStateOf(state),
    pageSize,
    pageToken,
    statusTimestampAfter: undefined,
    includeArtifacts: true,
  };
}

export function toTaskPage(page: ListTasksResponse): TaskPage {
  const tasks = page.tasks.map((task) => taskOf(taskEvent(task)));
  return page.nextPageToken === "" ? { tasks } : { tasks, nextPageToken: page.nextPageToken };
}
