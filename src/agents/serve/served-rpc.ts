import type { DefaultRequestHandler, ServerCallContext } from "@a2a-js/sdk/server";
import type { ServerSdk } from "../peer/a2a-sdk.js";
import { frame } from "./served-stream.js";

/** What a JSON-RPC request is answered with: one object, or a stream of them. */
export type RpcAnswer = { status: number; body: unknown } | { events: AsyncIterable<string> };

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
    if (!(Symbol.asyncIterator in answer)) return { status: 200, body: answer };
    // The first update tells whether there is a stream at all: before it, an error can still be a plain answer.
    const answers = answer[Symbol.asyncIterator]();
    try {
      const first = await answers.next();
      return { events: this.#framed(first, answers, body.id) };
    } catch (error) {
      return { status: 200, body: this.#errorAnswer(error, body.id) };
    }
  }

  async *#framed(
    first: IteratorResult<object>,
    rest: AsyncIterator<object>,
    id: unknown,
  ): AsyncGenerator<string, void, undefined> {
    try {
      for (let answer = first; !answer.done; answer = await rest.next()) yield frame(answer.value);
    } catch (error) {
      yield frame(this.#errorAnswer(error, id));
    }
  }

  #errorAnswer(error: unknown, id: unknown): object {
    const { code, message } = this.#errors.toJsonRpcError(error);
    return { jsonrpc: "2.0", id: id ?? null, error: { code, message } };
  }
}

type Handle = (body: object, context: ServerCallContext) => Promise<object | AsyncIterable<object>>;
