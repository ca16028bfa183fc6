import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import type * as grpc from "@grpc/grpc-js";
import { A2AError } from "../../errors.js";
import { orAborted } from "../../or-aborted.js";
import { Call, tooLate } from "./call.js";
import { type Credentials, createCredentials } from "./credentials.js";
import { statusError } from "./grpc-status.js";
import { createGuardedFetch, type GuardedFetchOptions } from "./guarded-fetch.js";
import { GuardedMessages, type MessageStream } from "./guarded-messages.js";
import { type Limits, resolveLimits } from "./limits.js";
import { NetworkPolicy, placeOf } from "./network-policy.js";

/** A method of a gRPC service. */
export interface GrpcMethod<Request, Answer> {
  path: string;
  requestSerialize: (request: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Answer;
}

/** Signal and headers of a call. */
export interface ChannelCall {
  signal?: AbortSignal | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

const WHERE = "GuardedChannel";

/** A request on its way; `arrived` settles with the headers of the answer. */
type Started = { call: grpc.ClientReadableStream<Buffer>; arrived: Promise<void> };

/**
 * gRPC with the guards of {@link createGuardedFetch}: names are resolved here, their addresses are checked, and the
 * connection goes to those and to no other; deadlines, sizes after decompression, credentials for one origin.
 *
 * HTTP/2, flow control and framing are those of `@grpc/grpc-js`.
 */
export class GuardedChannel {
  readonly #grpc: typeof grpc;
  readonly #url: URL;
  readonly #limits: Readonly<Limits>;
  readonly #policy: NetworkPolicy;
  readonly #credentials: Credentials | undefined;
  readonly #tls: grpc.ChannelCredentials;
  readonly #tokens: ReturnType<typeof createGuardedFetch>;
  readonly #calls = new Set<Call>();
  #client: grpc.Client | undefined;
  #connecting: Promise<grpc.Client> | undefined;
  #closed = false;

  /**
   * @param url - of the service; `http:` is HTTP/2 without TLS, which the policy may refuse
   * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
   */
  constructor(module: typeof grpc, url: URL, options: GuardedFetchOptions) {
    this.#grpc = module;
    this.#url = url;
    this.#limits = resolveLimits(options.limits, WHERE);
    this.#policy = new NetworkPolicy(options.network, WHERE);
    const { auth, origin, ...bare } = options;
    this.#tokens = createGuardedFetch(bare);
    const isOrigin = auth !== undefined && origin !== undefined && new URL(origin).origin === url.origin;
    if (isOrigin) {
      this.#credentials = createCredentials(auth, WHERE, (place, init) =>
        this.#tokens.fetch(place, { ...init, redirect: "error" }),
      );
    }
    this.#tls =
      url.protocol === "https:"
        ? tlsCredentials(module, options.tls?.ca, isOrigin ? auth.mtls : undefined)
        : module.credentials.createInsecure();
  }

  /**
   * A request with one answer.
   *
   * @throws {@link A2AError} as a guarded fetch does, and by the status that the service answers
   */
  async unary<Request, Answer>(
    method: GrpcMethod<Request, Answer>,
    request: Request,
    options: ChannelCall,
  ): Promise<Answer> {
    const stream = await this.#open(method, request, options, "bodyBytes");
    const [message, ...others] = (await stream.next()) ?? [];
    if (message === undefined || others.length > 0 || (await stream.next()) !== undefined) {
      stream.cancel();
      throw new A2AError(`${placeOf(this.#url)} did not give one answer`, { code: "PROTOCOL_ERROR" });
    }
    return method.responseDeserialize(message);
  }

  /** A request with a stream of answers. Resolves when the service has taken the request. */
  stream<Request>(
    method: GrpcMethod<Request, unknown>,
    request: Request,
    options: ChannelCall,
  ): Promise<MessageStream> {
    return this.#open(method, request, options, "eventBytes");
  }

  /** Ends calls under way with `CLOSED` and closes the connection. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const call of [...this.#calls]) call.fail(closed());
    this.#client?.close();
    await this.#tokens.close();
  }

  async #open<Request>(
    method: GrpcMethod<Request, unknown>,
    request: Request,
    { signal, headers = {} }: ChannelCall,
    limit: "bodyBytes" | "eventBytes",
  ): Promise<MessageStream> {
    if (this.#closed) throw closed();
    const place = placeOf(this.#url);
    const call = new Call(place, this.#limits.totalMs, signal, (ended) => this.#calls.delete(ended));
    if (!call.signal.aborted) this.#calls.add(call);
    try {
      call.signal.throwIfAborted();
      this.#policy.checkUrl(this.#url);
      let sent = (await this.#credentials?.headers(call.signal)) ?? {};
      for (let attempt = 0; ; attempt++) {
        const client = await this.#connected(call);
        const started = this.#start(call, client, this.#metadata({ ...headers, ...sent }), method, request);
        const failure = await failureOf(started.arrived);
        call.signal.throwIfAborted();
        if (failure === undefined)
          return new GuardedMessages(call, started.call, this.#url, this.#limits, limit);
        const renewed =
          attempt === 0 && failure.code === this.#grpc.status.UNAUTHENTICATED
            ? await this.#credentials?.renewed(sent, call.signal)
            : undefined;
        if (renewed === undefined) throw statusError(this.#url, failure, false);
        sent = renewed;
      }
    } catch (error) {
      const failure = call.reason(error);
      call.fail(failure);
      throw failure;
    }
  }

  #metadata(headers: Record<string, string>): grpc.Metadata {
    const metadata = new this.#grpc.Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return metadata;
  }

  #start<Request>(
    call: Call,
    client: grpc.Client,
    metadata: grpc.Metadata,
    { path, requestSerialize }: GrpcMethod<Request, unknown>,
    request: Request,
  ): Started {
    // Answers stay bytes: they are decoded when their size is known to be allowed, and somebody wants them.
    const raw = (bytes: Buffer) => bytes;
    const stream = client.makeServerStreamRequest(path, requestSerialize, raw, request, metadata);
    const stop = () => stream.cancel();
    call.signal.addEventListener("abort", stop, { once: true });
    stream.once("close", () => call.signal.removeEventListener("abort", stop));
    // Whoever reads gets the error from the stream; without a listener it would end the process.
    stream.on("error", () => {});
    const answered = call.arm("headers", this.#limits.headersMs);
    const arrived = new Promise<void>((resolve, reject) => {
      stream.once("metadata", () => resolve());
      stream.once("end", () => resolve());
      stream.once("error", reject);
    }).finally(answered);
    return { call: stream, arrived };
  }

  /** A client with a connection, or whose attempt to connect has failed: its next call says why. */
  async #connected(call: Call): Promise<grpc.Client> {
    const { READY } = this.#grpc.connectivityState;
    const known = this.#client;
    if (known !== undefined && known.getChannel().getConnectivityState(false) === READY) return known;
    const done = call.arm("connect", this.#limits.connectMs);
    try {
      this.#connecting ??= this.#connect().finally(() => {
        this.#connecting = undefined;
      });
      return await orAborted(this.#connecting, call.signal);
    } finally {
      done();
    }
  }

  /**
   * One attempt for all calls that wait for it, and one deadline: a call that joins late ends with the others. Addresses
   * are looked up again every time, and none outlives its check.
   */
  async #connect(): Promise<grpc.Client> {
    const { connectMs } = this.#limits;
    const client = await this.#newClient();
    const isSettled = await settles(client.getChannel(), this.#grpc.connectivityState, connectMs);
    if (this.#closed || !isSettled) {
      client.close();
      throw this.#closed ? closed() : tooLate(placeOf(this.#url), "connect", connectMs);
    }
    this.#client?.close();
    this.#client = client;
    return client;
  }

  async #newClient(): Promise<grpc.Client> {
    const url = this.#url;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    const isAddress = isIP(host) !== 0;
    const addresses = isAddress ? [{ address: host, family: isIP(host) }] : await this.#policy.resolve(url);
    const family = addresses[0]?.family ?? 4;
    const target = addresses
      .filter((each) => each.family === family)
      .map(({ address }) => (family === 6 ? `[${address}]:${port}` : `${address}:${port}`));
    const { bodyBytes, eventBytes } = this.#limits;
    return new this.#grpc.Client(`ipv${family}:${target.join(",")}`, this.#tls, {
      "grpc.default_authority": url.host,
      ...(isAddress ? {} : { "grpc.ssl_target_name_override": host }),
      "grpc.max_receive_message_length": Math.min(Math.max(bodyBytes, eventBytes), 2 ** 31 - 1),
      // No connection that others made, no proxy from the environment, and no repetition that nobody asked for.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_channelz": 0,
      "grpc.primary_user_agent": "rulake",
    });
  }
}

function tlsCredentials(
  module: typeof grpc,
  ca: NonNullable<GuardedFetchOptions["tls"]>["ca"],
  mtls: NonNullable<GuardedFetchOptions["auth"]>["mtls"],
): grpc.ChannelCredentials {
  const { cert, key, passphrase } = mtls ?? {};
  const authorities = mtls?.ca ?? ca;
  const context = createSecureContext({
    ...(authorities !== undefined && { ca: authorities as string | Buffer | (string | Buffer)[] }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(passphrase !== undefined && { passphrase }),
  });
  // Stated, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the default off.
  return module.credentials.createFromSecureContext(context, { rejectUnauthorized: true });
}

/** Whether a channel is connected, or has failed to, within its time. */
function settles(
  channel: ReturnType<grpc.Client["getChannel"]>,
  { READY, TRANSIENT_FAILURE, SHUTDOWN }: typeof grpc.connectivityState,
  ms: number,
): Promise<boolean> {
  const deadline = Date.now() + ms;
  const watch = (resolve: (isSettled: boolean) => void) => {
    const state = channel.getConnectivityState(true);
    if (state === READY || state === TRANSIENT_FAILURE || state === SHUTDOWN) return resolve(true);
    channel.watchConnectivityState(state, deadline, (late) => (late ? resolve(false) : watch(resolve)));
  };
  return new Promise(watch);
}

function failureOf(work: Promise<void>): Promise<grpc.ServiceError | undefined> {
  return work.then(
    () => undefined,
    (error: grpc.ServiceError) => error,
  );
}

function closed(): A2AError {
  return new A2AError("The connections to this peer were closed", { code: "CLOSED" });
}
