/** What comes of `work`, or the signal's reason as soon as it aborts: then nobody waits for the work any longer. */
export function orAborted<T>(work: T | PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal?.reason);
    const end = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
    Promise.resolve(work).then(resolve, reject).then(end, end);
  });
}
