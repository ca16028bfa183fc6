import type { JobControl } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { callNative, fromNative } from "../indexes/failure.js";
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
  const control = lakeCallNow(where, () => new (native().JobControl)(false));
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

/** {@link lakeCall} for what is no promise: getters, constructors, and methods that return at once. */
export function lakeCallNow<T>(where: string, call: () => T): T {
  return callNative(where, call, LakeError);
}

/** The error for calls of a lake that was closed, and of what was opened with it: `CLOSED`. */
export function lakeClosed(where: string): LakeError {
  return new LakeError(`${where}: the lake is closed`, {
    code: "CLOSED",
    hint: "RuLake.open() opens it again; close() only once nothing needs it any more.",
  });
}

/** The error for an argument of the wrong type: `INVALID_ARGUMENT`. */
export function invalidArgument(
  where: string,
  argument: string,
  expected: string,
  given: string,
  hint?: string,
): LakeError {
  return new LakeError(`${where}: ${argument} must be ${expected}, not ${given}`, {
    code: "INVALID_ARGUMENT",
    context: { argument, expected },
    hint,
  });
}
