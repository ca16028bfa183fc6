import { A2AError } from "../../errors.js";
import { withRetry } from "../../retry.js";
import { agentFailure, fromRemote } from "./remote-error.js";

/** Waits before a request is sent again that the peer did not take, in milliseconds. */
const DELAYS_MS = [400, 800];

/** How a request may be repeated. */
export interface RetryOptions {
  /** The call as the user wrote it. */
  where: string;
  /** Whether the request may arrive twice without harm. */
  isRepeatable: boolean;
  signal: AbortSignal | undefined;
}

/**
 * Sends a request, again when the peer turned it away for now, and when it may have arrived only if it may be repeated.
 *
 * @throws {@link A2AError} whatever the peer says, as an error of this package
 */
export function retried<T>(run: () => Promise<T>, { where, isRepeatable, signal }: RetryOptions): Promise<T> {
  const attempt = async () => {
    try {
      return await run();
    } catch (error) {
      throw fromRemote(error, where);
    }
  };
  return withRetry(attempt, {
    transientDelaysMs: DELAYS_MS,
    infrastructureDelaysMs: DELAYS_MS.slice(0, 1),
    isRetryable: (error) => {
      if (!A2AError.isInstance(error) || agentFailure(error) !== undefined) return false;
      if (error.code === "PEER_BUSY") return true;
      return isRepeatable && (error.code === "CONNECTION_LOST" || error.code === "PEER_UNREACHABLE");
    },
    ...(signal === undefined ? {} : { signal }),
  });
}
