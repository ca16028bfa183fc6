import type { SendMessageRequest, StreamResponse } from "@a2a-js/sdk";
import type { RequestOptions } from "@a2a-js/sdk/client";
import { A2AError } from "../../errors.js";
import { placeOfInterface } from "../card/interface-origins.js";
import { type GrpcMethod, GuardedChannel } from "../http/guarded-channel.js";
import type { GuardedFetchOptions } from "../http/guarded-fetch.js";
import { checkJsonValue } from "../http/json-value.js";
import { type Limits, resolveLimits } from "../http/limits.js";
import { type GrpcSdk, loadGrpcSdk } from "./a2a-sdk.js";
import type { PeerInterface } from "./peer-interface.js";
import type { PeerWire, SingleCalls, UpdateStream, WireCall } from "./peer-wire.js";
import { fromRemote } from "./remote-error.js";
import { type A2AEvent, toEvent } from "./task-event.js";

/**
 * The requests of protocol 1.0 over gRPC. The messages are written and read by the SDK, what carries them is a
 * {@link GuardedChannel}: the SDK's own transport has no place for an address policy, sizes or deadlines.
 */
export class GrpcWire implements PeerWire {
  readonly offer: PeerInterface;
  readonly transport: SingleCalls;
  readonly #sdk: GrpcSdk;
  readonly #channel: GuardedChannel;
  readonly #limits: Readonly<Limits>;

  private constructor(sdk: GrpcSdk, offer: PeerInterface, options: GuardedFetchOptions) {
    this.offer = offer;
    this.#sdk = sdk;
    this.#limits = resolveLimits(options.limits, "GrpcWire");
    this.#channel = new GuardedChannel(sdk.grpc, placeOf(offer), options);
    const service = sdk.service;
    const once =
      <Request, Answer>(method: GrpcMethod<Request, Answer>) =>
      (request: Request, call: RequestOptions = {}) =>
        this.#once(method, request, call);
    this.transport = {
      async sendMessage(request, call) {
        const { payload } = await once(service.sendMessage)(request, call);
        if (payload !== undefined) return payload.value;
        throw new A2AError("The peer answered without a task or a message", {
          code: "INVALID_AGENT_RESPONSE",
        });
      },
      getTask: once(service.getTask),
      listTasks: once(service.listTasks),
      cancelTask: once(service.cancelTask),
      createTaskPushNotificationConfig: once(service.createTaskPushNotificationConfig),
      listTaskPushNotificationConfig: once(service.listTaskPushNotificationConfigs),
      async deleteTaskPushNotificationConfig(request, call) {
        await once(service.deleteTaskPushNotificationConfig)(request, call);
      },
    };
  }

  /**
   * @param options - as for a guarded fetch
   * @throws {@link A2AError} `A2A_SDK_NOT_INSTALLED`
   */
  static async open(offer: PeerInterface, options: GuardedFetchOptions): Promise<GrpcWire> {
    return new GrpcWire(await loadGrpcSdk(), offer, options);
  }

  call({ signal, headers }: WireCall): RequestOptions {
    const serviceParameters = { ...headers, "A2A-Version": this.offer.protocolVersion };
    return signal === undefined ? { serviceParameters } : { serviceParameters, signal };
  }

  send(request: SendMessageRequest, call: WireCall, where: string): Promise<UpdateStream> {
    return this.#stream(this.#sdk.service.sendStreamingMessage, request, call, where);
  }

  subscribe(taskId: string, call: WireCall, where: string): Promise<UpdateStream> {
    const request = { tenant: this.offer.tenant, id: taskId };
    return this.#stream(this.#sdk.service.subscribeToTask, request, call, where);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  async #once<Request, Answer>(
    method: GrpcMethod<Request, Answer>,
    request: Request,
    { signal, serviceParameters }: RequestOptions,
  ): Promise<Answer> {
    try {
      const call = { signal, headers: serviceParameters };
      const answer = await this.#channel.unary(method, request, call);
      checkJsonValue(answer, this.#limits.jsonDepth);
      return answer;
    } catch (error) {
      throw this.#known(error);
    }
  }

  async #stream<Request>(
    method: GrpcMethod<Request, StreamResponse>,
    request: Request,
    call: WireCall,
    where: string,
  ): Promise<UpdateStream> {
    const { signal, serviceParameters } = this.call(call);
    const attempt = async <T>(work: () => Promise<T>) => {
      try {
        return await work();
      } catch (error) {
        throw fromRemote(this.#known(error), where);
      }
    };
    const messages = await attempt(() =>
      this.#channel.stream(method, request, { signal, headers: serviceParameters }),
    );
    const maxDepth = this.#limits.jsonDepth;
    return {
      next: () => attempt(() => messages.next()),
      read(message: Buffer): A2AEvent {
        const update = decoded(() => method.responseDeserialize(message), where);
        checkJsonValue(update, maxDepth);
        return toEvent(update);
      },
      cancel: async () => messages.cancel(),
    } satisfies UpdateStream<Buffer> as UpdateStream;
  }

  /** What the service said went wrong, as the error of the SDK that it stands for. */
  #known(error: unknown): unknown {
    const isStatus = error instanceof Error && typeof (error as { code?: unknown }).code === "number";
    return isStatus ? this.#sdk.fromGrpcError(error as Parameters<GrpcSdk["fromGrpcError"]>[0]) : error;
  }
}

function placeOf({ url }: PeerInterface): URL {
  const place = placeOfInterface(url);
  if (place?.protocol === "https:" || place?.protocol === "http:") return place;
  throw new A2AError("The gRPC interface of the agent is no place to connect to", {
    code: "URL_REFUSED",
    context: { url: place?.protocol },
    hint: "'host:port' and https URLs are.",
  });
}

function decoded<T>(decode: () => T, where: string): T {
  try {
    return decode();
  } catch (cause) {
    throw new A2AError(`${where}: the peer sent a message that cannot be read`, {
      code: "INVALID_AGENT_RESPONSE",
      cause,
    });
  }
}
