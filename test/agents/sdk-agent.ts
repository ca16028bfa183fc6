import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AgentCard, generateAgentCardSignature, type Part, TaskState } from "@a2a-js/sdk";
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryTaskStore,
  type RequestContext,
} from "@a2a-js/sdk/server";
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from "@a2a-js/sdk/server/express";
import { A2AService, grpcService } from "@a2a-js/sdk/server/grpc";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import express from "express";
import { onTestFinished } from "vitest";
import { type Signer, signer } from "./signed-cards.js";
import { createWire, type Wire } from "./wire.js";

const textPart = (value: string): Part => ({
  content: { $case: "text", value },
  metadata: undefined,
  filename: "",
  mediaType: "",
});

/** Does what it is told; see {@link exercise}. */
class Told implements AgentExecutor {
  readonly #canceled = new Set<string>();

  async execute(
    { userMessage, task, taskId, contextId }: RequestContext,
    bus: ExecutionEventBus,
  ): Promise<void> {
    const status = (state: TaskState, says?: string) => {
      const parts = says === undefined ? [] : [textPart(says)];
      const message = {
        messageId: randomUUID(),
        role: 2,
        parts,
        taskId,
        contextId,
        extensions: [],
        referenceTaskIds: [],
      };
      const timestamp = new Date().toISOString();
      return {
        state,
        message: says === undefined ? undefined : { ...message, metadata: undefined },
        timestamp,
      };
    };
    const tell = (state: TaskState, says?: string) =>
      bus.publish(
        AgentEvent.statusUpdate({ taskId, contextId, status: status(state, says), metadata: undefined }),
      );
    const give = (artifactId: string, parts: Part[], append = false) => {
      const artifact = { artifactId, name: "", description: "", parts, metadata: undefined, extensions: [] };
      const event = { taskId, contextId, artifact, append, lastChunk: false, metadata: undefined };
      bus.publish(AgentEvent.artifactUpdate(event));
    };
    // The server wants a task first, also in later turns.
    const submitted = status(TaskState.TASK_STATE_SUBMITTED);
    const history = [...(task?.history ?? []), userMessage];
    bus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: submitted,
        artifacts: [],
        history,
        metadata: undefined,
      }),
    );
    const text = userMessage.parts
      .flatMap(({ content }) => (content?.$case === "text" ? [content.value] : []))
      .join("");
    if (text === "ask") tell(TaskState.TASK_STATE_INPUT_REQUIRED, "which colour?");
    else {
      tell(TaskState.TASK_STATE_WORKING, "thinking");
      const [verb, count = "0"] = text.split(" ");
      if (verb === "count") {
        for (let at = 0; at < Number(count); at++) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          give("answer", [textPart(`${at} `)], at > 0);
        }
      } else if (text === "echo") give("back", userMessage.parts);
      else if (text === "sleep") {
        while (!this.#canceled.has(taskId)) await new Promise((resolve) => setTimeout(resolve, 10));
        tell(TaskState.TASK_STATE_CANCELED);
        bus.finished();
        return;
      } else give("picture", [textPart(`painted ${text}`)]);
      tell(TaskState.TASK_STATE_COMPLETED);
    }
    bus.finished();
  }

  async cancelTask(taskId: string): Promise<void> {
    this.#canceled.add(taskId);
  }
}

/**
 * An agent on the JavaScript SDK and its server, with a signed card, reached through wires that can be cut: one for HTTP
 * and another for gRPC.
 */
export async function sdkAgent(
  legacy: boolean,
): Promise<{ origin: string; wire: Wire; grpcWire: Wire; by: Signer }> {
  const [wire, grpcWire] = [await createWire(), await createWire()];
  const by = await signer();
  const origin = `http://127.0.0.1:${wire.port}`;
  const ways = legacy ? [["JSONRPC", "0.3", "rpc"]] : [];
  ways.push(["JSONRPC", "1.0", "rpc"], ["HTTP+JSON", "1.0", "rest"]);
  const card = AgentCard.fromJSON({
    name: "JavaScript agent",
    description: "Does what it is told",
    version: "1.0.0",
    supportedInterfaces: [
      ...ways.map(([protocolBinding, protocolVersion, path]) => ({
        url: `${origin}/${path}`,
        protocolBinding,
        protocolVersion,
      })),
      { url: `127.0.0.1:${grpcWire.port}`, protocolBinding: "GRPC", protocolVersion: "1.0" },
    ],
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [],
  });
  const signed = await generateAgentCardSignature(by.privateKey, { alg: "ES256", kid: "key-1", typ: "JOSE" })(
    card,
  );
  const requestHandler = new DefaultRequestHandler(signed, new InMemoryTaskStore(), new Told());
  const options = {
    requestHandler,
    userBuilder: UserBuilder.noAuthentication,
    ...(legacy && { legacyCompat: { enabled: true } }),
  };
  const app = express();
  app.use(
    "/.well-known/agent-card.json",
    agentCardHandler({ ...options, agentCardProvider: requestHandler }),
  );
  app.use("/rpc", jsonRpcHandler(options));
  app.use("/rest", restHandler(options));
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  wire.leadTo((server.address() as AddressInfo).port);
  const grpc = new GrpcServer();
  grpc.addService(A2AService, grpcService({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  grpcWire.leadTo(
    await new Promise<number>((resolve, reject) => {
      const bound = (error: Error | null, port: number) => (error ? reject(error) : resolve(port));
      grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
    }),
  );
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    grpc.forceShutdown();
  });
  return { origin, wire, grpcWire, by };
}
