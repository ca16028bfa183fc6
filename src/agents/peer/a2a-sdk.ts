import type * as sdk from "@a2a-js/sdk";
import type * as client from "@a2a-js/sdk/client";
import type * as legacy from "@a2a-js/sdk/compat/v0_3";
import type * as legacyServer from "@a2a-js/sdk/compat/v0_3/server";
import type * as errors from "@a2a-js/sdk/errors";
import type { fromGrpcError } from "@a2a-js/sdk/errors/grpc";
import type * as server from "@a2a-js/sdk/server";
import type { A2AService } from "@a2a-js/sdk/server/grpc";
import type * as grpc from "@grpc/grpc-js";
import { A2AError } from "../../errors.js";

/** What talking to a peer needs of the SDK. */
export interface ClientSdk {
  /** Wire types of protocol 1.0. */
  types: typeof sdk;
  client: typeof client;
  /** Translations of protocol 0.3. */
  legacy: typeof legacy;
}

/** What talking to a peer over gRPC needs besides. */
export interface GrpcSdk {
  grpc: typeof grpc;
  /** The methods of the service, with how their messages are written and read. */
  service: typeof A2AService;
  fromGrpcError: typeof fromGrpcError;
}

/** What being a peer needs of the SDK. */
export interface ServerSdk {
  types: typeof sdk;
  server: typeof server;
  errors: typeof errors;
  /** The handlers of protocol 0.3. */
  legacy: typeof legacyServer;
}

/**
 * The client half of `@a2a-js/sdk`, loaded on first use: importing it takes longer than all of this package.
 *
 * @throws {@link A2AError} `A2A_SDK_NOT_INSTALLED`
 */
export function loadClientSdk(): Promise<ClientSdk> {
  return load(async () => {
    const [types, client, legacy] = await Promise.all([
      import("@a2a-js/sdk"),
      import("@a2a-js/sdk/client"),
      import("@a2a-js/sdk/compat/v0_3"),
    ]);
    return { types, client, legacy };
  });
}

/**
 * The server half of `@a2a-js/sdk`.
 *
 * @throws {@link A2AError} `A2A_SDK_NOT_INSTALLED`
 */
export function loadServerSdk(): Promise<ServerSdk> {
  return load(async () => {
    const [types, server, errors, legacy] = await Promise.all([
      import("@a2a-js/sdk"),
      import("@a2a-js/sdk/server"),
      import("@a2a-js/sdk/errors"),
      import("@a2a-js/sdk/compat/v0_3/server"),
    ]);
    return { types, server, errors, legacy };
  });
}

/**
 * gRPC, and what the SDK has for it.
 *
 * @throws {@link A2AError} `A2A_SDK_NOT_INSTALLED`
 */
export function loadGrpcSdk(): Promise<GrpcSdk> {
  return load(async () => {
    const [grpc, { A2AService }, { fromGrpcError }] = await Promise.all([
      import("@grpc/grpc-js"),
      import("@a2a-js/sdk/server/grpc"),
      import("@a2a-js/sdk/errors/grpc"),
    ]);
    return { grpc, service: A2AService, fromGrpcError };
  }, "@grpc/grpc-js @bufbuild/protobuf");
}

async function load<T>(modules: () => Promise<T>, packages = "@a2a-js/sdk"): Promise<T> {
  try {
    return await modules();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw cause;
    const [first] = packages.split(" ");
    throw new A2AError(`rulake/agents needs the package ${first}, which is not installed`, {
      code: "A2A_SDK_NOT_INSTALLED",
      category: "infrastructure",
      hint: `npm install ${packages}`,
      cause,
    });
  }
}
