import { A2AError, type ErrorCategory, RuLakeError } from "../../errors.js";

/** Errors of the protocol: the SDK's class, the JSON-RPC number (spec §5.4) and the code that stands for them here. */
const PROTOCOL_ERRORS: readonly { name: string; rpc: number; code: string }[] = [
  { name: "TaskNotFoundError", rpc: -32001, code: "TASK_NOT_FOUND" },
  { name: "TaskNotCancelableError", rpc: -32002, code: "TASK_NOT_CANCELABLE" },
  { name: "PushNotificationNotSupportedError", rpc: -32003, code: "PUSH_NOT_SUPPORTED" },
  { name: "UnsupportedOperationError", rpc: -32004, code: "UNSUPPORTED_OPERATION" },
  { name: "ContentTypeNotSupportedError", rpc: -32005, code: "CONTENT_TYPE_NOT_SUPPORTED" },
  { name: "InvalidAgentResponseError", rpc: -32006, code: "INVALID_AGENT_RESPONSE" },
  { name: "ExtendedAgentCardNotConfiguredError", rpc: -32007, code: "UNSUPPORTED_OPERATION" },
  { name: "ExtensionSupportRequiredError", rpc: -32008, code: "EXTENSION_REQUIRED" },
  { name: "VersionNotSupportedError", rpc: -32009, code: "PROTOCOL_NOT_SUPPORTED" },
  { name: "RequestMalformedError", rpc: -32600, code: "REQUEST_MALFORMED" },
  { name: "RequestMalformedError", rpc: -32602, code: "REQUEST_MALFORMED" },
  { name: "RequestMalformedError", rpc: -32700, code: "REQUEST_MALFORMED" },
  { name: "RequestMalformedError", rpc: -32601, code: "UNSUPPORTED_OPERATION" },
];

/** Context key of errors that say the agent itself failed, see {@link agentFailure}. */
const FAILURE = "agentFailure";

/** Longest text of a peer that goes into a message of ours. */
const QUOTED = 300;

/** What the error text of a peer becomes within a message: one short line without control characters. */
function quoted(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
}

/**
 * Whatever a call to a peer threw, as an error of this package. Aborts and our own errors stay as they are.
 *
 * @param where - the call as the user wrote it
 */
export function fromRemote(error: unknown, where: string): unknown {
  if (RuLakeError.isInstance(error)) return error;
  if (!(error instanceof Error)) return error;
  if (error.name === "AbortError" || error.name === "TimeoutError") return error;
  const known = protocolError(error);
  if (known !== undefined) {
    const { message, name, envelopeCode, statusCode } = known;
    const code = PROTOCOL_ERRORS.find((each) => each.name === name || each.rpc === envelopeCode)?.code;
    if (code !== undefined) return remoteError(where, message, code, "permanent", error);
    return agentError(where, message, envelopeCode === -32603 || statusCode === 500, error);
  }
  const status = /\b(?:Status: |stream for \S+: |HTTP error for \S+: )(\d{3})\b/.exec(error.message)?.[1];
  if (status !== undefined) {
    return agentError(where, `HTTP status ${status}`, false, error);
  }
  return new A2AError(`${where}: the peer's answer could not be read: ${quoted(error.message)}`, {
    code: "INVALID_AGENT_RESPONSE",
    cause: error,
  });
}

/**
 * The error object of a JSON-RPC response as an error of this package.
 *
 * @param where - the call as the user wrote it
 */
export function fromRpcError(error: unknown, where: string): A2AError {
  const { code: rpc, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const said = typeof message === "string" ? message : "an error without a message";
  const code = PROTOCOL_ERRORS.find((each) => each.rpc === rpc)?.code;
  if (code !== undefined) return remoteError(where, said, code, "permanent", undefined);
  return agentError(where, said, rpc === -32603, undefined);
}

/**
 * What the agent behind the peer says went wrong inside of it, if that is what an error is about. Servers of one SDK
 * report an exception of their agent as an internal error, those of another end the task as `failed`.
 */
export function agentFailure(error: unknown): string | undefined {
  if (!A2AError.isInstance(error)) return undefined;
  const said = error.context[FAILURE];
  return typeof said === "string" ? said : undefined;
}

interface SdkError extends Error {
  envelopeCode?: number;
  statusCode?: number;
}

/** The error of the SDK within an error: streams wrap theirs. */
function protocolError(error: Error): SdkError | undefined {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    const { name } = each;
    if (name === "A2AError" || name === "JsonRpcTransportError") return each;
    if (PROTOCOL_ERRORS.some((known) => known.name === name)) return each;
  }
  return undefined;
}

function agentError(where: string, said: string, internal: boolean, cause: unknown): A2AError {
  return new A2AError(`${where}: the agent failed: ${quoted(said)}`, {
    code: "AGENT_FAILED",
    category: "infrastructure",
    context: internal ? { [FAILURE]: quoted(said) } : {},
    cause,
  });
}

function remoteError(
  where: string,
  said: string,
  code: string,
  category: ErrorCategory,
  cause: unknown,
): A2AError {
  return new A2AError(`${where}: the peer answered with an error: ${quoted(said)}`, {
    code,
    category,
    cause,
  });
}
