/** Those who wait for a turn of the event loop, first come, first served. */
const waiting: (() => void)[] = [];

/**
 * Resolves on a later turn of the event loop that no other caller gets. Work that is cut into pieces of about a
 * millisecond then holds up the loop by one piece a turn, however many calls are under way.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(grant);
  });
}

function grant(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(grant);
}
