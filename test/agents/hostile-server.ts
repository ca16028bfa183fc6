import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from "node:net";
import { RuLakeError } from "rulake";
import { onTestFinished } from "vitest";

/** A server of this machine, gone with all its connections when the test is done. */
export interface TestServer {
  /** Without a slash at the end. */
  origin: string;
  port: number;
  /** Requests so far, as they came. */
  requests: IncomingMessage[];
  /** Connections so far. */
  connections: number;
  /** Connections open now. */
  open: Set<Socket>;
}

type Listener = (request: IncomingMessage, response: ServerResponse, seen: TestServer) => unknown;

/** A real HTTP server on loopback. */
export function serve(listener: Listener): Promise<TestServer> {
  return start((handle) => createServer(handle), listener, "http://127.0.0.1");
}

/** The same over TLS. */
export function serveTls(options: ServerOptions, listener: Listener): Promise<TestServer> {
  return start((handle) => createTlsServer(options, handle), listener, "https://localhost");
}

/** A server that speaks whatever `onConnection` writes. */
export async function serveTcp(onConnection: (socket: Socket) => void): Promise<TestServer> {
  const server = createTcpServer(onConnection);
  return listen(server, "http://127.0.0.1", []);
}

function start(create: (handle: RequestListener) => Server, listener: Listener, base: string) {
  const requests: IncomingMessage[] = [];
  let seen: TestServer;
  const server = create((request, response) => {
    requests.push(request);
    response.on("error", () => {});
    void listener(request, response, seen);
  });
  return listen(server, base, requests).then((started) => {
    seen = started;
    return started;
  });
}

async function listen(server: TcpServer, base: string, requests: IncomingMessage[]): Promise<TestServer> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const open = new Set<Socket>();
  const seen: TestServer = { origin: `${base}:${port}`, port, requests, connections: 0, open };
  server.on("connection", (socket: Socket) => {
    seen.connections++;
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
  });
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return seen;
}

/** The body of a request. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return text;
}

/** What a call fails with; anything but an error of ours is a failure of the test. */
export async function failure(work: Promise<unknown>): Promise<RuLakeError> {
  let value: unknown;
  try {
    value = await work;
  } catch (error) {
    if (RuLakeError.isInstance(error)) return error;
    throw error;
  }
  throw new Error(`it did not fail, but gave ${value}`);
}

/** Everything an error shows to those who print or log it, whatever it is made of. */
export function everythingIn(error: unknown): string {
  const seen = new Set<unknown>();
  const parts: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) parts.push(String(value));
    else if (!seen.has(value)) {
      seen.add(value);
      for (const name of Object.getOwnPropertyNames(value)) visit((value as Record<string, unknown>)[name]);
    }
  };
  visit(error);
  return parts.join("\n");
}

/** Waits until something holds. */
export async function until(holds: () => boolean, ms = 5_000): Promise<void> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not happen within ${ms} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * How far the memory of this process grows while `work` runs, in bytes: the least of three times, if it takes so many to
 * stay below `most`. What others allocate meanwhile counts as well, and so does garbage that is not collected yet.
 */
export async function growth(most: number, work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && least >= most; attempt++) {
    const before = process.memoryUsage.rss();
    let peak = before;
    const sample = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
    }, 5);
    try {
      await work();
    } finally {
      clearInterval(sample);
    }
    least = Math.min(least, Math.max(peak, process.memoryUsage.rss()) - before);
  }
  return least;
}
