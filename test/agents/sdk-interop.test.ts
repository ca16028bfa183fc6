import { createPublicKey, randomUUID } from "node:crypto";
import { Role, TaskState, verifyAgentCardSignature } from "@a2a-js/sdk";
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from "@a2a-js/sdk/client";
import type { ConnectOptions } from "rulake/agents";
import { describe, expect, it } from "vitest";
import { sdkAgent } from "./sdk-agent.js";
import { connect, painter, served, signingKey } from "./served-agent.js";
import { exercise } from "./told-agent.js";

const ways: [string, boolean, ConnectOptions][] = [
  ["JSON-RPC 1.0", false, { bindings: ["JSONRPC"] }],
  ["REST 1.0", false, { bindings: ["HTTP+JSON"] }],
  ["JSON-RPC 1.0 beside 0.3", true, { bindings: ["JSONRPC"] }],
  ["JSON-RPC 0.3", true, { protocol: "0.3" }],
  ["gRPC 1.0", false, { bindings: ["GRPC"] }],
];

describe.each(ways)("an agent on the SDK's own server over %s", (_, legacy, options) => {
  it("streams, asks back, echoes, cancels, and is resumed after a cut", async () => {
    const { origin, wire, grpcWire, by } = await sdkAgent(legacy);
    const peer = await connect(origin, { ...options, verify: "require", trust: { keys: [by.jwk] } });
    expect(peer.verified).toMatchObject({ kid: "key-1", form: "sdk" });
    await exercise(peer, peer.interface.binding === "GRPC" ? grpcWire : wire);
  });
});

describe("the SDK's own client", () => {
  it.each([JsonRpcTransportFactory, RestTransportFactory])(
    "talks to a served agent by %o",
    async (Transport) => {
      const key = signingKey();
      const { url } = await served({ handler: painter, signingKey: key });
      const card = await new DefaultAgentCardResolver().resolve(url);
      await verifyAgentCardSignature(async () => createPublicKey(key))(card);
      const transports = [new Transport()];
      const client = await new ClientFactory({ transports }).createFromAgentCard(card);
      const say = async (value: string, taskId = "", contextId = "") => {
        const part = {
          content: { $case: "text" as const, value },
          metadata: undefined,
          filename: "",
          mediaType: "",
        };
        const message = {
          messageId: randomUUID(),
          role: Role.ROLE_USER,
          parts: [part],
          taskId,
          contextId,
        };
        const states: TaskState[] = [];
        let task = { id: taskId, contextId };
        let text = "";
        const request = { tenant: "", metadata: undefined, configuration: undefined };
        const more = { extensions: [], referenceTaskIds: [], metadata: undefined };
        for await (const { payload } of client.sendMessageStream({
          ...request,
          message: { ...message, ...more },
        })) {
          if (payload?.$case === "task") task = payload.value;
          if (payload?.$case === "statusUpdate" && payload.value.status)
            states.push(payload.value.status.state);
          const parts = payload?.$case === "artifactUpdate" ? (payload.value.artifact?.parts ?? []) : [];
          for (const { content } of parts) if (content?.$case === "text") text += content.value;
        }
        return { task, state: states.at(-1), text };
      };
      const first = await say("a house");
      expect(first.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
      await say("blue", first.task.id, first.task.contextId);
      const last = await say("huge", first.task.id, first.task.contextId);
      expect([last.state, last.text]).toEqual([
        TaskState.TASK_STATE_COMPLETED,
        "painted a house blue and huge",
      ]);
    },
  );
});
