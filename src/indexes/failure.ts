import { ConfigError, type ErrorCategory, IndexError, RuLakeError, type RuLakeErrorInit } from "../errors.js";

/** What `native/src/error.rs` attaches to the errors it makes. */
interface NativeFailure extends Error {
  code: string;
  category: ErrorCategory;
  context: Record<string, unknown>;
  hint?: string;
}

/** A class of errors, such as `IndexError`. */
export type Family = new (message: string, init: RuLakeErrorInit) => RuLakeError;

const optionCodes: ReadonlySet<string> = new Set(["INVALID_OPTION", "INVALID_DIMENSIONS"]);

/** What to do about an error that the native side names without advice of its own. */
const hints: Readonly<Record<string, string>> = {
  CORRUPT_FILE: "The file was changed after it was written; restore it from a copy or build the index again.",
  UNSUPPORTED_FORMAT:
    "Only files written by save(), by this or an older version, and rbpx files can be loaded.",
  NO_RAW_VECTORS: "RabitqPlusIndex and FlatF32Index keep the vectors.",
  CLOSED: "Open it again; close() only once nothing needs it any more.",
  COLLECTION_MISMATCH:
    "Leave the option out to accept what is stored, or make the collection anew with lake.replace().",
  NOT_FINITE: "Look for NaN or Infinity where the vector was made, such as a division by a zero norm.",
};

/**
 * The {@link RuLakeError} for whatever the native binding threw or rejected with, field by field.
 *
 * @param where - the call as the user wrote it; starts the message
 * @param family - class of the error; problems with options are a {@link ConfigError} everywhere
 */
export function fromNative(error: unknown, where: string, family: Family = IndexError): RuLakeError {
  if (RuLakeError.isInstance(error)) return error;
  if (!isNativeFailure(error)) {
    const reason = error instanceof Error ? error.message : String(error);
    return new family(`${where}: internal error: ${reason}`, {
      code: "INTERNAL",
      cause: error,
      hint: "This is a defect of rulake; please report it with the message and context.",
    });
  }
  const Class = optionCodes.has(error.code) ? ConfigError : family;
  const failure = new Class(`${where}: ${error.message}`, {
    code: error.code,
    category: error.category,
    context: error.context,
    hint: error.hint ?? hints[error.code],
  });
  if (error.code === "CANCELLED") failure.name = "AbortError";
  return failure;
}

/** Runs a synchronous native call. */
export function callNative<T>(where: string, call: () => T, family?: Family): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error, where, family);
  }
}

function isNativeFailure(error: unknown): error is NativeFailure {
  return error instanceof Error && "code" in error && "category" in error && "context" in error;
}
