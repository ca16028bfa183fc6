import type { SpanPlace } from "../peer/task-context.js";
import type { TaskState } from "../peer/task-state.js";

/** The part of an OpenTelemetry tracer that is used; `trace.getTracer("…")` of `@opentelemetry/api` is one. */
export interface TracerLike {
  startSpan(
    name: string,
    options?: { attributes?: Record<string, string | number | boolean>; kind?: number },
  ): SpanLike;
}

/** The part of an OpenTelemetry span that is used. */
export interface SpanLike {
  setAttribute(name: string, value: string | number | boolean): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  recordException(error: Error): unknown;
  end(): void;
  spanContext(): SpanPlace;
}

/** `SpanKind.CLIENT` and `SpanStatusCode.ERROR` of OpenTelemetry. */
const KIND_CLIENT = 2;
const STATUS_ERROR = 2;

/** A span around one task at a peer. */
export class TaskSpan {
  readonly #span: SpanLike | undefined;

  constructor(tracer: TracerLike | undefined, attributes: Record<string, string | number | boolean>) {
    this.#span = tracer?.startSpan("a2a.task", { attributes, kind: KIND_CLIENT });
  }

  /** Of the span, for the header `traceparent`; `undefined` without a tracer, or one that is switched off. */
  get place(): SpanPlace | undefined {
    const place = this.#span?.spanContext();
    return place === undefined || /^0*$/.test(place.traceId) ? undefined : place;
  }

  /** The task went to another state. */
  state(state: TaskState): void {
    this.set("a2a.task.state", state);
    if (state === "failed") this.#span?.setStatus({ code: STATUS_ERROR, message: "the agent failed" });
  }

  set(name: string, value: string | number | boolean): void {
    this.#span?.setAttribute(name, value);
  }

  fail(error: unknown): void {
    if (this.#span === undefined) return;
    const known = error instanceof Error ? error : new Error(String(error));
    this.#span.recordException(known);
    this.#span.setStatus({ code: STATUS_ERROR, message: known.message });
  }

  end(): void {
    this.#span?.end();
  }
}
