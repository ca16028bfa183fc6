import type { DefaultRequestHandler, ServerCallContext } from "@a2a-js/sdk/server";
import type { ServerSdk } from "../peer/a2a-sdk.js";
import { frame } from "./served-stream.js";

/** A request of the HTTP+JSON binding. */
export interface RestRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  body: Record<string, unknown>;
}

/** What it is answered with. */
export type RestAnswer = { status: number; body: unknown } | { events: AsyncIterable<string> };

/** The HTTP+JSON binding of protocol 1.0 (spec §11) over the SDK's request handler. */
export class RestBinding {
  readonly #sdk: ServerSdk;
  readonly #handler: DefaultRequestHandler;

  constructor(sdk: ServerSdk, handler: DefaultRequestHandler) {
    this.#sdk = sdk;
    this.#handler = handler;
  }

  /** The answer; `undefined` if no such route exists. */
  async answer(request: RestRequest, context: ServerCallContext): Promise<RestAnswer | undefined> {
    const { errors } = this.#sdk;
    try {
      return await this.#route(request, context);
    } catch (error) {
      const status = errors.restStatusFor(error);
      return { status, body: errors.toRestErrorBody(error, status) };
    }
  }

  async #route(
    { method, path, query, body }: RestRequest,
    context: ServerCallContext,
  ): Promise<RestAnswer | undefined> {
    const { types } = this.#sdk;
    const handler = this.#handler;
    const ok = (value: unknown): RestAnswer => ({ status: 200, body: value });
    if (method === "POST" && path === "/message:send") {
      const result = await handler.sendMessage(types.SendMessageRequest.fromJSON(body), context);
      return ok(
        "messageId" in result
          ? { message: types.Message.toJSON(result) }
          : { task: types.Task.toJSON(result) },
      );
    }
    if (method === "POST" && path === "/message:stream") {
      return this.#stream(handler.sendMessageStream(types.SendMessageRequest.fromJSON(body), context));
    }
    if (method === "GET" && path === "/tasks") {
      const page = await handler.listTasks(toListRequest(this.#sdk, query), context);
      return ok({ nextPageToken: "", totalSize: 0, ...(types.ListTasksResponse.toJSON(page) as object) });
    }
    const [, id = "", action] = /^\/tasks\/([^/:]+)(?::(\w+)|\/(.*))?$/.exec(path) ?? [];
    if (id === "") return undefined;
    const task = { tenant: "", id: decodeURIComponent(id) };
    if (action === "cancel" && method === "POST") {
      return ok(types.Task.toJSON(await handler.cancelTask({ ...task, metadata: undefined }, context)));
    }
    if (action === "subscribe") return this.#stream(handler.resubscribe(task, context));
    if (path.includes("/pushNotificationConfigs")) return this.#push(method, path, body, context);
    if (action !== undefined || method !== "GET" || path.split("/").length > 3) return undefined;
    const historyLength = query.get("historyLength");
    const request = historyLength === null ? task : { ...task, historyLength: Number(historyLength) };
    return ok(types.Task.toJSON(await handler.getTask(request, context)));
  }

  async #push(
    method: string,
    path: string,
    body: Record<string, unknown>,
    context: ServerCallContext,
  ): Promise<RestAnswer | undefined> {
    const { TaskPushNotificationConfig, ListTaskPushNotificationConfigsResponse } = this.#sdk.types;
    const handler = this.#handler;
    const [, task = "", config = ""] =
      /^\/tasks\/([^/]+)\/pushNotificationConfigs(?:\/([^/]+))?$/.exec(path) ?? [];
    if (task === "") return undefined;
    const [taskId, id] = [decodeURIComponent(task), decodeURIComponent(config)];
    if (method === "POST" && id === "") {
      const request = TaskPushNotificationConfig.fromJSON({ ...body, taskId });
      const created = await handler.createTaskPushNotificationConfig(request, context);
      return { status: 201, body: TaskPushNotificationConfig.toJSON(created) };
    }
    if (method === "GET" && id === "") {
      const request = { tenant: "", taskId, pageSize: 100, pageToken: "" };
      const list = await handler.listTaskPushNotificationConfigs(request, context);
      return { status: 200, body: ListTaskPushNotificationConfigsResponse.toJSON(list) };
    }
    if (method === "GET") {
      const found = await handler.getTaskPushNotificationConfig({ tenant: "", taskId, id }, context);
      return { status: 200, body: TaskPushNotificationConfig.toJSON(found) };
    }
    if (method !== "DELETE") return undefined;
    await handler.deleteTaskPushNotificationConfig({ tenant: "", taskId, id }, context);
    return { status: 204, body: "" };
  }

  async #stream(
    updates: AsyncGenerator<Parameters<typeof toFrame>[1], void, undefined>,
  ): Promise<RestAnswer> {
    const { types, errors } = this.#sdk;
    // The first update tells whether there is a stream at all: before it, an error still has a status.
    const first = await updates.next();
    async function* events(): AsyncGenerator<string, void, undefined> {
      try {
        if (!first.done) yield toFrame(types, first.value);
        for await (const update of updates) yield toFrame(types, update);
      } catch (error) {
        yield frame(errors.toRestErrorBody(error, errors.restStatusFor(error)), "error");
      }
    }
    return { events: events() };
  }
}

function toFrame(
  types: ServerSdk["types"],
  update: Parameters<ServerSdk["types"]["StreamResponse"]["toJSON"]>[0],
): string {
  return frame(types.StreamResponse.toJSON(update));
}

function toListRequest({ types }: ServerSdk, query: URLSearchParams) {
  const given: Record<string, unknown> = Object.fromEntries(query);
  for (const name of ["pageSize", "historyLength"]) if (name in given) given[name] = Number(given[name]);
  if ("includeArtifacts" in given) given.includeArtifacts = given.includeArtifacts === "true";
  return types.ListTasksRequest.fromJSON(given);
}
