import type { DefaultRequestHandler, ServerCallContext } from "@a2a-js/sdk/server";
import type { ServerSdk } from "./a2a-sdk.js";
import type { OutgoingEvent } from "./served-stream.js";
import { frame } from "./served-stream.js";

/** What a JSON-RPC request is answered with: one object, or a stream of them. */
export type RpcAnswer = { status: number; body: unknown } | { events: AsyncIterable<OutgoingEvent> };

/** Methods of protocol 0.3 have a slash in their names, those of 1.0 none. */
const LEGACY_METHOD = /\//;

/** The JSON-RPC binding of protocols 1.0 and 0.3, on the SDK's handlers. */
export class RpcBinding {
  readonly #current: { handle: Handle };
  readonly #legacy: { handle: Handle };
  readonly #errors: ServerSdk["errors"];

  constructor({ server, legacy, errors }: ServerSdk, handler: DefaultRequestHandler) {
    this.#errors = errors;
    this.#current = new server.JsonRpcTransportHandler(handler) as never;
    this.#legacy = new legacy.LegacyJsonRpcTransportHandler(handler) as never;
  }

  async answer(body: Record<string, unknown>, context: ServerCallContext): Promise<RpcAnswer> {
    const { method } = body;
    const binding = typeof method === "string" && LEGACY_METHOD.test(method) ? this.#legacy : this.#current;
    const answer = await binding.handle(body, context);
    return Symbol.asyncIterator in answer
      ? { events: framed(answer, body.id, this.#errors) }
      : { status: 200, body: answer };
  }
}

type Handle = (body: object, context: ServerCallContext) => Promise<object | AsyncIterable<object>>;

/** Errors within a stream arrive as exceptions, after the headers: they become the last event. */
async function* framed(
  answers: AsyncIterable<object>,
  id: unknown,
  errors: ServerSdk["errors"],
): AsyncGenerator<OutgoingEvent, void, undefined> {
  try {
    for await (const answer of answers) {
      yield { frame: frame(answer), taskId: taskIdOf((answer as { result?: unknown }).result) };
    }
  } catch (error) {
    const { code, message } = errors.toJsonRpcError(error);
    yield { frame: frame({ jsonrpc: "2.0", id: id ?? null, error: { code, message } }), taskId: undefined };
  }
}

/** The task that an update of either protocol is about. */
export function taskIdOf(update: unknown): string | undefined {
  if (typeof update !== "object" || update === null) return undefined;
  const { task, statusUpdate, artifactUpdate, taskId, id } = update as Record<string, unknown>;
  const found =
    (task as { id?: unknown } | undefined)?.id ??
    ((statusUpdate ?? artifactUpdate) as { taskId?: unknown } | undefined)?.taskId ??
    taskId ??
    id;
  return typeof found === "string" ? found : undefined;
}
