/**
 * Where a task stands. `unknown` is a state that the peer named and this version of the protocol does not know; it
 * neither ends a task nor asks for anything.
 */
export type TaskState =
  | "submitted"
  | "working"
  | "input-required"
  | "auth-required"
  | "completed"
  | "failed"
  | "canceled"
  | "rejected"
  | "unknown";

/** By number of the wire enum `TaskState` of protocol 1.0 (specification/a2a.proto). */
const byNumber: readonly TaskState[] = [
  "unknown",
  "submitted",
  "working",
  "completed",
  "failed",
  "canceled",
  "input-required",
  "rejected",
  "auth-required",
];

/** The state behind a number of the wire enum. */
export function taskStateOf(wire: number | undefined): TaskState {
  return byNumber[wire ?? 0] ?? "unknown";
}

/** The number of a state in the wire enum. */
export function wireStateOf(state: TaskState): number {
  return byNumber.indexOf(state);
}

/** Every state, for checks of options. */
export const taskStates: readonly TaskState[] = [...byNumber.slice(1), "unknown"];

/** Whether nothing happens to the task any more. */
export function isTerminal(state: TaskState | undefined): boolean {
  return state === "completed" || state === "failed" || state === "canceled" || state === "rejected";
}

/** Whether the task waits for its caller. Servers differ in whether they end the stream then; we always do. */
export function isInterrupted(state: TaskState | undefined): boolean {
  return state === "input-required" || state === "auth-required";
}

/** Whether a stream of updates is over in this state. */
export function endsStream(state: TaskState | undefined): boolean {
  return isTerminal(state) || isInterrupted(state);
}
