import type { JobControl } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { fromNative } from "../indexes/failure.js";
import { native } from "../native.js";
import { checkSignal } from "../options.js";

/**
 * Awaits a native call; what it rejects with becomes a {@link LakeError}, or the signal's reason if that stopped it.
 *
 * @param where - the call as the user wrote it; starts error messages
 */
export async function lakeCall<T>(
  where: string,
  signal: AbortSignal | undefined,
  start: (control: JobControl | undefined) => Promise<T>,
): Promise<T> {
  checkSignal(signal, where);
  signal?.throwIfAborted();
  if (signal === undefined) {
    try {
      return await start(undefined);
    } catch (error) {
      throw fromNative(error, where, LakeError);
    }
  }
  const control = new (native().JobControl)(false);
  const cancel = () => control.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await start(control);
  } catch (error) {
    if (signal.aborted && (error as { code?: unknown }).code === "CANCELLED") throw signal.reason;
    throw fromNative(error, where, LakeError);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** The error for an argument of the wrong type: `INVALID_ARGUMENT`. */
export function invalidArgument(where: string, argument: string, expected: string, given: string): LakeError {
  return new LakeError(`${where}: ${argument} must be ${expected}, not ${given}`, {
    code: "INVALID_ARGUMENT",
    context: { argument, expected },
  });
}
