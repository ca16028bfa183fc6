import type { IncomingMessage, ServerResponse } from "node:http";
import { A2APeer, type ConnectOptions } from "rulake/agents";
import { onTestFinished } from "vitest";
import { bodyOf, serve, type TestServer } from "./hostile-server.js";

/** A call that the peer got. */
export interface PeerCall {
  method: string;
  params: Record<string, unknown>;
  id: unknown;
  request: IncomingMessage;
  at: number;
}

/** Answers a call: with a result, by hand, or not at all. */
export type PeerScript = (call: PeerCall, events: EventWriter) => unknown;

/** A peer whose every byte the test decides over. */
export interface ScriptedPeer {
  peer: A2APeer;
  server: TestServer;
  calls: PeerCall[];
  /** The calls of a method. */
  of(method: string): PeerCall[];
}

export const TASK = "task-1";
const CONTEXT = "context-1";

/** Writes an event stream for one call. */
export class EventWriter {
  readonly response: ServerResponse;
  readonly #id: unknown;

  constructor(response: ServerResponse, id: unknown) {
    this.response = response;
    this.#id = id;
  }

  /** Starts the stream; further calls write nothing. */
  open(): this {
    if (!this.response.headersSent) this.response.writeHead(200, { "content-type": "text/event-stream" });
    return this;
  }

  frame(result: unknown): string {
    return `data: ${JSON.stringify({ jsonrpc: "2.0", id: this.#id, result })}\n\n`;
  }

  /** Bytes as they are; `false` when the connection takes no more for now. */
  raw(text: string): boolean {
    this.open();
    return this.response.write(text);
  }

  send(result: unknown): boolean {
    return this.raw(this.frame(result));
  }

  task(state = "SUBMITTED", more: object = {}): this {
    this.send({ task: task(state, more) });
    return this;
  }

  status(state: string, text?: string, taskId = TASK): this {
    this.send({ statusUpdate: { taskId, contextId: CONTEXT, status: status(state, text) } });
    return this;
  }

  chunk(text: string, append = true, taskId = TASK): this {
    this.send(chunk(text, append, taskId));
    return this;
  }

  end(): void {
    this.open().response.end();
  }

  /** Cuts the connection. */
  cut(): void {
    this.response.destroy();
  }
}

function status(state: string, text?: string): object {
  const message = { messageId: "m", role: "ROLE_AGENT", parts: [{ text }] };
  return { state: `TASK_STATE_${state}`, ...(text === undefined ? {} : { message }) };
}

export function task(state: string, more: object = {}): object {
  return { id: TASK, contextId: CONTEXT, status: status(state), ...more };
}

export function chunk(text: string, append = true, taskId = TASK): object {
  return {
    artifactUpdate: { taskId, contextId: CONTEXT, append, artifact: { artifactId: "a", parts: [{ text }] } },
  };
}

/** The artifact of {@link chunk} within a task. */
export function artifact(text: string): object {
  return { artifacts: [{ artifactId: "a", parts: [{ text }] }] };
}

/** A card for a peer at an origin. */
function cardAt(origin: string, more: object = {}): object {
  return {
    name: "Scripted",
    description: "Does as the test says",
    version: "1",
    supportedInterfaces: [{ url: `${origin}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    capabilities: { streaming: true, pushNotifications: true },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [{ id: "work", name: "Work", description: "Works", tags: ["work"] }],
    ...more,
  };
}

/** Connects to a server that answers every call as `script` says. */
export async function scriptedPeer(
  script: PeerScript,
  options: ConnectOptions = {},
  card: object = {},
): Promise<ScriptedPeer> {
  const calls: PeerCall[] = [];
  const server = await serve(async (request, response, { origin }) => {
    if (request.url?.startsWith("/.well-known/")) {
      response.setHeader("content-type", "application/json").end(JSON.stringify(cardAt(origin, card)));
      return;
    }
    const { method, params, id } = JSON.parse(await bodyOf(request)) as PeerCall;
    const call: PeerCall = { method, params, id, request, at: performance.now() };
    calls.push(call);
    const result = await script(call, new EventWriter(response, id));
    if (result !== undefined && !response.headersSent) {
      const body = (result as { error?: unknown }).error === undefined ? { result } : (result as object);
      response
        .setHeader("content-type", "application/json")
        .end(JSON.stringify({ jsonrpc: "2.0", id, ...body }));
    }
  });
  const peer = await A2APeer.connect(server.origin, {
    verify: "off",
    network: { allowLoopback: true },
    ...options,
  });
  onTestFinished(() => peer.close());
  return { peer, server, calls, of: (method) => calls.filter((call) => call.method === method) };
}

/** Everything a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const events: T[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** Everything a stream gives before it fails, and what it fails with. */
export async function collectUntilFailure<T>(
  stream: AsyncIterable<T>,
): Promise<{ events: T[]; error: unknown }> {
  const events: T[] = [];
  try {
    for await (const event of stream) events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events, error: undefined };
}
