import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, createServer, type Server } from "node:net";
import { A2AService } from "@a2a-js/sdk/server/grpc";
import {
  Server as GrpcServer,
  type Metadata,
  ServerCredentials,
  type ServerOptions,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import type { Identity } from "./certificates.js";

/** A server that speaks gRPC as a test tells it to, and has a card, both on one port of this machine. */
export interface GrpcAgent {
  origin: string;
  port: number;
  /** Metadata of the calls so far. */
  calls: Metadata[];
  /** Connections so far that speak HTTP/2. */
  connections: number;
}

/** How an agent is served. */
export interface GrpcAgentOptions {
  /** Identity and authority: TLS, with a certificate of the client if there is an authority. */
  tls?: Identity & { ca?: string };
  server?: ServerOptions;
  /** What the card says of its interface; by default `host:port` of the card. */
  interfaceUrl?: string;
}

/**
 * Starts an agent until the test is done.
 *
 * @param methods - of the service; the others are not there
 */
export async function grpcAgent(
  methods: UntypedServiceImplementation,
  { tls, server: serverOptions = {}, interfaceUrl }: GrpcAgentOptions = {},
): Promise<GrpcAgent> {
  const calls: Metadata[] = [];
  const grpc = new GrpcServer(serverOptions);
  const noted = Object.entries(methods).map(([name, method]) => [
    name,
    (call: { metadata: Metadata }, ...rest: unknown[]) => {
      calls.push(call.metadata);
      return (method as (...given: unknown[]) => unknown)(call, ...rest);
    },
  ]);
  grpc.addService(A2AService, Object.fromEntries(noted) as UntypedServiceImplementation);
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(
          tls.ca === undefined ? null : Buffer.from(tls.ca),
          [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
          tls.ca !== undefined,
        );
  const grpcPort = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync("127.0.0.1:0", credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
  let card = "";
  const answer = (_: unknown, response: import("node:http").ServerResponse) =>
    response.writeHead(200, { "content-type": "application/json" }).end(card);
  const http = tls === undefined ? createHttpServer(answer) : createHttpsServer(tls, answer);
  const httpPort = await listening(http);
  const agent: GrpcAgent = { origin: "", port: 0, calls, connections: 0 };
  // One port for both, as gateways have it: HTTP/2 is known by its preface, or by what the TLS handshake offers.
  const front = createServer((near) => {
    near.once("data", (first) => {
      const isGrpc = first.includes("PRI * HTTP/2") || first.includes("\x02h2");
      if (isGrpc) agent.connections++;
      const far = connectTcp(isGrpc ? grpcPort : httpPort, "127.0.0.1");
      far.write(first);
      near.pipe(far).pipe(near);
      far.on("error", () => near.destroy());
      far.on("close", () => near.destroy());
      near.on("close", () => far.destroy());
    });
    near.on("error", () => {});
  });
  agent.port = await listening(front);
  agent.origin = tls === undefined ? `http://127.0.0.1:${agent.port}` : `https://localhost:${agent.port}`;
  card = JSON.stringify({
    name: "gRPC agent",
    description: "Speaks nothing else",
    version: "1.0.0",
    supportedInterfaces: [
      { url: interfaceUrl ?? agent.origin, protocolBinding: "GRPC", protocolVersion: "1.0" },
    ],
    capabilities: { streaming: true, pushNotifications: true },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [],
  });
  onTestFinished(() => {
    grpc.forceShutdown();
    http.close();
    front.close();
  });
  return agent;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
