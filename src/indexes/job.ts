import type { JobControl } from "../../native/binding.js";
import { IndexError } from "../errors.js";
import { warnOfLateFailure } from "../late-failure.js";
import { native } from "../native.js";
import { callNative, type Family, fromNative } from "./failure.js";
import { type Progress, ProgressReporter, progressIntervalMs } from "./progress.js";

/** How a caller watches and stops a call that may take long. */
export interface JobOptions {
  /** Stops the call, which then rejects with the signal's reason and has changed nothing. */
  signal?: AbortSignal | undefined;
  /**
   * Told about progress, at most about 20 times a second for each step. An exception stops the call, which then
   * rejects with that exception and has changed nothing. If the change was made already, the call resolves, and the
   * exception becomes a warning of the process (`RULAKE_PROGRESS`).
   */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** What {@link runJob} is told of a call. */
export interface Job extends JobOptions {
  /** Whether it changes an index or a file: what was changed is not reported as failed. */
  changes?: boolean;
}

/** The part of a call that copies input: it reports and stops, too, but runs in JavaScript. */
export interface JobSteps {
  /** Throws the signal's reason, or what the listener throws. */
  step(progress: Progress): void;
}

/**
 * Runs one call: first `prepare` (in JavaScript, in steps), then `start` (the native part).
 *
 * Rejects with the signal's reason, with what the listener threw, or with a `RuLakeError`. When the work was done
 * before it saw the signal, it resolves; a change that was made before the listener threw does, too.
 *
 * @param where - the call as the user wrote it; starts error messages
 * @param family - class of the errors
 */
export async function runJob<P, T>(
  where: string,
  job: Job,
  prepare: (steps: JobSteps) => P | Promise<P>,
  start: (prepared: P, control: JobControl | undefined) => Promise<T>,
  family: Family = IndexError,
): Promise<T> {
  const { signal, onProgress, changes = false } = job;
  signal?.throwIfAborted();
  const reporter = onProgress && new ProgressReporter(onProgress);
  const prepared = await prepare({
    step(progress) {
      signal?.throwIfAborted();
      reporter?.report(progress);
    },
  });
  signal?.throwIfAborted();
  if (signal === undefined && reporter === undefined) {
    try {
      return await start(prepared, undefined);
    } catch (error) {
      throw fromNative(error, where, family);
    }
  }
  return watch({ where, family, signal, reporter, changes }, (control) => start(prepared, control));
}

interface Watch {
  where: string;
  family: Family;
  signal: AbortSignal | undefined;
  reporter: ProgressReporter | undefined;
  changes: boolean;
}

async function watch<T>(
  { where, family, signal, reporter, changes }: Watch,
  start: (control: JobControl) => Promise<T>,
): Promise<T> {
  const control = callNative(where, () => new (native().JobControl)(reporter !== undefined), family);
  const thrown: unknown[] = [];
  const report = () => {
    if (thrown.length > 0) return;
    try {
      for (const progress of control.progress()) reporter?.report(progress);
    } catch (error) {
      thrown.push(error);
      control.cancel();
    }
  };
  const cancel = () => control.cancel();
  const timer = reporter && setInterval(report, progressIntervalMs);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const result = await start(control);
    report();
    if (thrown.length > 0) {
      if (!changes) throw thrown[0];
      warnOfLateFailure(where, thrown[0]);
    }
    return result;
  } catch (error) {
    if (thrown.length > 0) throw thrown[0];
    if (signal?.aborted && isCancellation(error)) throw signal.reason;
    throw fromNative(error, where, family);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

function isCancellation(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "CANCELLED";
}
