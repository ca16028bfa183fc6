/**
 * Warns of what an `onProgress` threw when there was nothing left to stop: the call was done, and rejecting it would say
 * that it was not.
 *
 * @param where - the call as the user wrote it
 */
export function warnOfLateFailure(where: string, error: unknown): void {
  const thrown = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.emitWarning(`${where}: onProgress threw when the call was done already`, {
    code: "RULAKE_PROGRESS",
    detail: thrown,
  });
}
