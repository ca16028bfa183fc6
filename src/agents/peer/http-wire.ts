import type { AgentCard, SendMessageRequest, StreamResponse } from "@a2a-js/sdk";
import type { RequestOptions, Transport } from "@a2a-js/sdk/client";
import { A2AError } from "../../errors.js";
import { guardedStatus } from "../http/http-status.js";
import { checkJsonValue } from "../http/json-value.js";
import type { Limits } from "../http/limits.js";
import type { ClientSdk } from "./a2a-sdk.js";
import type { PeerInterface } from "./peer-interface.js";
import type { PeerWire, UpdateStream, WireCall } from "./peer-wire.js";
import { fromRemote, fromRpcError } from "./remote-error.js";
import { SseReader } from "./sse-reader.js";
import { type A2AEvent, textChunk, toEvent } from "./task-event.js";

/** What an {@link HttpWire} speaks with. */
export interface HttpWireOptions {
  sdk: ClientSdk;
  offer: PeerInterface;
  fetch: typeof fetch;
  /** Of these, the size and depth of events are the business of the wire. */
  limits: Readonly<Limits>;
}

/**
 * The requests of the protocol over HTTP: JSON-RPC and REST.
 *
 * The SDK writes requests and reads single answers, in whichever version and binding. Streams are read here: its own
 * parser misses lines that end in CR, takes a cut connection for the end, and never lets go of the event loop.
 */
export class HttpWire implements PeerWire {
  readonly offer: PeerInterface;
  readonly transport: Transport;
  readonly #options: HttpWireOptions;

  private constructor(transport: Transport, options: HttpWireOptions) {
    this.transport = transport;
    this.offer = options.offer;
    this.#options = options;
  }

  static async open(options: HttpWireOptions): Promise<HttpWire> {
    const fetchImpl = (async (url, init) =>
      guardedStatus(await fetchTask(options.fetch, url, init))) as typeof fetch;
    return new HttpWire(await createTransport(options, fetchImpl), options);
  }

  call({ signal, headers }: WireCall): RequestOptions {
    const serviceParameters = { ...headers, "A2A-Version": this.offer.protocolVersion };
    return signal === undefined ? { serviceParameters } : { serviceParameters, signal };
  }

  send(request: SendMessageRequest, call: WireCall, where: string): Promise<UpdateStream> {
    return this.#stream((transport, options) => transport.sendMessageStream(request, options), call, where);
  }

  subscribe(taskId: string, call: WireCall, where: string): Promise<UpdateStream> {
    const request = { tenant: this.offer.tenant, id: taskId };
    return this.#stream((transport, options) => transport.resubscribeTask(request, options), call, where);
  }

  /** Its connections are those of the fetch, which others use as well. */
  async close(): Promise<void> {}

  async #stream(
    start: (transport: Transport, options: RequestOptions) => AsyncGenerator<StreamResponse, void, undefined>,
    call: WireCall,
    where: string,
  ): Promise<UpdateStream> {
    let answer: { body: ReadableStream<Uint8Array>; id: unknown } | undefined;
    // A transport for this one request: its fetch keeps the stream and gives the SDK an empty one.
    const transport = await createTransport(this.#options, (async (url, init) => {
      const own = { ...init, limits: { jsonDepth: Number.MAX_SAFE_INTEGER } };
      const response = guardedStatus(await fetchTask(this.#options.fetch, url, own));
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
      if (!response.ok || !isStream || response.body === null) return response;
      answer = { body: response.body, id: requestId(init) };
      return new Response("", { headers: { "content-type": "text/event-stream" } });
    }) as typeof fetch);
    try {
      await start(transport, this.call(call)).next();
    } catch (error) {
      throw fromRemote(error, where);
    }
    if (answer === undefined) {
      throw new A2AError(`${where}: the peer answered without a stream`, { code: "INVALID_AGENT_RESPONSE" });
    }
    const { body, id } = answer;
    const { sdk, offer, limits } = this.#options;
    const reader = new SseReader(body, limits.eventBytes);
    const decode = decoder(sdk, offer, id, limits.jsonDepth, where);
    return {
      next: () => reader.next(),
      read: decode,
      cancel: () => reader.cancel(),
    } satisfies UpdateStream<SseEvent> as UpdateStream;
  }
}

async function createTransport({ sdk, offer }: HttpWireOptions, fetchImpl: typeof fetch): Promise<Transport> {
  const { client } = sdk;
  const options = { fetchImpl, legacyCompat: { enabled: true } };
  const factory =
    offer.binding === "JSONRPC"
      ? new client.JsonRpcTransportFactory(options)
      : new client.RestTransportFactory(options);
  const { url, binding: protocolBinding, protocolVersion, tenant } = offer;
  // Of the card the SDK needs this interface alone, with the version in the one spelling that it compares with.
  const card = {
    supportedInterfaces: [{ url, protocolBinding, protocolVersion, tenant }],
  } as unknown as AgentCard;
  const transport = await factory.create(url, card);
  return tenant === "" ? transport : new client.TenantTransportDecorator(transport, tenant);
}

/** The specification names both POST and GET for following a task over REST: where one is refused, the other is tried. */
async function fetchTask(
  fetch: HttpWireOptions["fetch"],
  url: Parameters<typeof globalThis.fetch>[0],
  init: RequestInit | undefined,
): Promise<Response> {
  const response = await fetch(url, init);
  if (response.status !== 405 || !String(url).endsWith(":subscribe")) return response;
  await response.body?.cancel();
  return fetch(url, { ...init, method: init?.method === "GET" ? "POST" : "GET" });
}

function requestId(init: RequestInit | undefined): unknown {
  if (typeof init?.body !== "string") return undefined;
  return (JSON.parse(init.body) as { id?: unknown }).id;
}

interface SseEvent {
  event?: string | undefined;
  data: string;
}

type Decode = (event: SseEvent) => A2AEvent;

function decoder(
  { types, legacy }: ClientSdk,
  offer: PeerInterface,
  id: unknown,
  maxDepth: number,
  where: string,
): Decode {
  if (offer.binding === "HTTP+JSON") {
    return ({ event, data }) => {
      const value = parse(data, where) as { error?: unknown };
      const chunk = event === "error" ? undefined : plainChunk(value, data);
      if (chunk === undefined) checkJsonValue(value, maxDepth);
      if (event === "error") throw fromRestEvent(value, where);
      return chunk ?? toEvent(types.StreamResponse.fromJSON(value));
    };
  }
  const isLegacy = offer.protocolVersion === "0.3";
  return ({ data }) => {
    const envelope = parse(data, where) as { id?: unknown; result?: unknown; error?: unknown };
    const hasFailed = envelope.error !== undefined && envelope.error !== null;
    const chunk = isLegacy || hasFailed ? undefined : plainChunk(envelope.result, data);
    if (chunk === undefined) checkJsonValue(envelope, maxDepth);
    if (hasFailed) throw fromRpcError(envelope.error, where);
    if (envelope.id !== id) {
      throw new A2AError(`${where}: the peer sent an event of another request`, { code: "FOREIGN_EVENT" });
    }
    if (typeof envelope.result !== "object" || envelope.result === null) {
      throw new A2AError(`${where}: the peer sent an event without a result`, {
        code: "INVALID_AGENT_RESPONSE",
      });
    }
    if (isLegacy) return toEvent(legacyUpdate(legacy, envelope.result));
    return chunk ?? toEvent(types.StreamResponse.fromJSON(envelope.result));
  };
}

/**
 * A chunk of plain text whose JSON need not be looked through: nothing but a few strings of it goes on, however deep the
 * rest is, and no key of it can be `__proto__`, which takes these letters or an escape.
 */
function plainChunk(result: unknown, data: string): A2AEvent | undefined {
  if (typeof result !== "object" || result === null) return undefined;
  if (data.includes("__proto__") || data.includes("\\u")) return undefined;
  return textChunk(result);
}

/** Kinds that 0.3 does not know are no reason to give up: they become an update without content. */
function legacyUpdate(legacy: ClientSdk["legacy"], result: { kind?: unknown }): StreamResponse {
  const kinds = ["task", "message", "status-update", "artifact-update"];
  if (!kinds.includes(String(result.kind))) return { payload: undefined };
  return legacy.legacyPushNotificationToV1StreamResponse(result);
}

function parse(data: string, where: string): object {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // The parser's message quotes the text: left out.
  }
  if (typeof value !== "object" || value === null) {
    throw new A2AError(`${where}: the peer sent an event that is no JSON object`, {
      code: "INVALID_AGENT_RESPONSE",
    });
  }
  return value;
}

function fromRestEvent({ error }: { error?: unknown }, where: string): A2AError {
  const { message, details } = (error ?? {}) as { message?: unknown; details?: { reason?: unknown }[] };
  const reason = Array.isArray(details)
    ? details.find((each) => typeof each?.reason === "string")?.reason
    : undefined;
  const numbers: Record<string, number> = { TASK_NOT_FOUND: -32001, UNSUPPORTED_OPERATION: -32004 };
  return fromRpcError({ code: numbers[String(reason)] ?? -32603, message }, where);
}
