/**
 * How an error behaves over time: `transient` may pass if tried again, `infrastructure` points at something
 * outside this process (disk, network, runtime), `permanent` needs a change by the caller.
 */
export type ErrorCategory = "transient" | "permanent" | "infrastructure";

/** What a {@link RuLakeError} is made of, besides its message. */
export interface RuLakeErrorInit {
  /** Stable identifier in SCREAMING_SNAKE, listed in docs/errors.md. */
  code: string;
  /** Default `"permanent"`. */
  category?: ErrorCategory | undefined;
  /** Facts a program may want: names, sizes, positions. */
  context?: Record<string, unknown> | undefined;
  /** What to do about it, in one sentence. */
  hint?: string | undefined;
  /** The error underneath. */
  cause?: unknown;
}

const MARKER = Symbol.for("rulake.error");
const FAMILY = Symbol.for("rulake.error.family");

/**
 * Base of every error thrown by this package.
 *
 * `instanceof` fails across two copies of a package (ESM and CJS, or nested installs); {@link RuLakeError.isInstance}
 * goes by a marker symbol and does not.
 */
export class RuLakeError extends Error {
  /** Stable identifier in SCREAMING_SNAKE. */
  readonly code: string;
  /** See {@link ErrorCategory}. */
  readonly category: ErrorCategory;
  /** Facts a program may want: names, sizes, positions. */
  readonly context: Record<string, unknown>;
  /** What to do about it. */
  declare readonly hint?: string;

  constructor(message: string, init: RuLakeErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = new.target.family;
    this.code = init.code;
    this.category = init.category ?? "permanent";
    this.context = init.context ?? {};
    if (init.hint !== undefined) this.hint = init.hint;
    Object.defineProperty(this, MARKER, { value: true });
    Object.defineProperty(this, FAMILY, { value: new.target.family });
  }

  /** @internal Name of the family; a string, because class names do not survive minifiers. */
  protected static get family(): string {
    return "RuLakeError";
  }

  /** Whether trying the same call again can succeed: everything but `permanent`. */
  isRetryable(): boolean {
    return this.category !== "permanent";
  }

  /**
   * Whether `error` belongs to this class or one derived from it, whichever copy of the package made it.
   *
   * @example
   * ```ts
   * if (EmbedError.isInstance(error) && error.code === "MODEL_NOT_FOUND") console.error(error.hint);
   * ```
   */
  static isInstance<T extends RuLakeError>(
    this: { new (message: string, init: RuLakeErrorInit): T },
    error: unknown,
  ): error is T {
    if (typeof error !== "object" || error === null || !(MARKER in error)) return false;
    // biome-ignore lint/complexity/noThisInStatic: the class it is called on is the question
    const wanted = (this as unknown as typeof RuLakeError).family;
    return wanted === "RuLakeError" || (error as { [FAMILY]?: unknown })[FAMILY] === wanted;
  }
}

/** Building, loading or searching an index failed. */
export class IndexError extends RuLakeError {
  protected static override get family(): string {
    return "IndexError";
  }
}

/** A lake or a collection refused or failed. */
export class LakeError extends RuLakeError {
  protected static override get family(): string {
    return "LakeError";
  }
}

/** An embedding model could not be found, loaded or run. */
export class EmbedError extends RuLakeError {
  protected static override get family(): string {
    return "EmbedError";
  }
}

/** Talking to a remote agent failed. */
export class A2AError extends RuLakeError {
  protected static override get family(): string {
    return "A2AError";
  }
}

/** Options that cannot be right, found before anything happened. */
export class ConfigError extends RuLakeError {
  protected static override get family(): string {
    return "ConfigError";
  }
}
