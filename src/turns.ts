/** Milliseconds of work in pieces that a turn of the event loop has room for; the last piece may end later. */
const TURN_MS = 1;

/** Who waits for a turn, and who does next: an array would move all the others whenever the first leaves. */
interface Waiting {
  go: () => void;
  next: Waiting | undefined;
}

let first: Waiting | undefined;
let last: Waiting | undefined;

/** Who was the last to wait when this turn began. */
let lastOfTurn: Waiting | undefined;

/** When the first piece of this turn began, if there was one. */
let begun: number | undefined;

/**
 * Whether work in pieces has had its time of this turn, whoever did it: all calls share it. Whoever has more to do
 * should await {@link nextTurn}.
 */
export function isTurnOver(): boolean {
  if (begun === undefined) begin();
  return isLate();
}

/**
 * Resolves on a later turn of the event loop, when those who asked before have done their piece of work. Pieces of about
 * a millisecond then hold up the loop for about two, however many calls are under way.
 */
export function nextTurn(): Promise<void> {
  return new Promise((go) => {
    const one: Waiting = { go, next: undefined };
    if (last === undefined) first = one;
    else last.next = one;
    last = one;
    if (begun === undefined) begin();
  });
}

function begin(): void {
  begun = performance.now();
  setImmediate(end);
}

function end(): void {
  begun = undefined;
  if (first === undefined) return;
  lastOfTurn = last;
  begin();
  grant();
}

/** Lets the first go on, and when it has done its piece the next, while there is time. */
function grant(): void {
  if (first === undefined || isLate()) return;
  const { go, next } = first;
  const isLast = first === lastOfTurn;
  first = next;
  if (next === undefined) last = undefined;
  go();
  // Its piece is done when the queue of microtasks is empty, and a tick asked for by one of them comes after that.
  if (!isLast) queueMicrotask(() => process.nextTick(grant));
}

function isLate(): boolean {
  return performance.now() - (begun ?? 0) > TURN_MS;
}
