import { A2AError } from "../../errors.js";
import { checkOptions, invalidOption } from "../../options.js";
import type { TaskEstimate } from "../peer/task-policy.js";

/** What all tasks together may take within any stretch of time of a given length. */
export interface BudgetOptions {
  maxTasks?: number;
  maxTokens?: number;
  /** US dollars. */
  maxCostUsd?: number;
  /** Length of the rolling window in milliseconds. Default 60,000. */
  windowMs?: number;
  /**
   * What becomes of a task that does not fit: `"shed"` refuses it, `{ queue }` lets that many wait for their turn, first
   * come, first served. Default `"shed"`.
   */
  overflow?: "shed" | { queue: number };
}

/** What was taken within the window. */
export interface BudgetUse {
  tasks: number;
  tokens: number;
  costUsd: number;
  /** Tasks that wait. */
  queued: number;
}

/** A task's share of a budget. */
export interface BudgetLease {
  /** The task goes elsewhere or takes another amount: replaces the estimate, or throws `BUDGET_EXCEEDED`. */
  adjust(estimate: TaskEstimate): void;
  /** What the task took in the end. */
  settle(actual: TaskEstimate): void;
  /** The task was never sent: it took nothing. */
  release(): void;
}

interface Entry extends TaskEstimate {
  at: number;
}

interface Waiting {
  estimate: TaskEstimate;
  resolve: (lease: BudgetLease) => void;
}

const NAMES = ["maxTasks", "maxTokens", "maxCostUsd", "windowMs", "overflow"];
const WINDOW_MS = 60_000;

/** A budget over a rolling window of time. */
export class Budget {
  readonly #maxTasks: number;
  readonly #maxTokens: number;
  readonly #maxCostUsd: number;
  readonly #windowMs: number;
  readonly #depth: number;
  /** In order of time. */
  #entries: Entry[] = [];
  readonly #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION` */
  constructor(options: BudgetOptions, where: string) {
    checkOptions(options, NAMES, `${where}: budget`);
    for (const name of ["maxTasks", "maxTokens", "maxCostUsd", "windowMs"] as const) {
      const value = options[name];
      if (value !== undefined && !(typeof value === "number" && value >= 0)) {
        throw invalidOption(where, `budget.${name}`, "a number from 0", value);
      }
    }
    const { overflow = "shed" } = options;
    const depth = overflow === "shed" ? 0 : overflow?.queue;
    if (!Number.isSafeInteger(depth) || depth < 0) {
      throw invalidOption(where, "budget.overflow", `"shed" or { queue: a whole number }`, overflow);
    }
    this.#maxTasks = options.maxTasks ?? Number.POSITIVE_INFINITY;
    this.#maxTokens = options.maxTokens ?? Number.POSITIVE_INFINITY;
    this.#maxCostUsd = options.maxCostUsd ?? Number.POSITIVE_INFINITY;
    this.#windowMs = options.windowMs ?? WINDOW_MS;
    this.#depth = depth;
  }

  /** What was taken within the window that ends now. */
  get use(): BudgetUse {
    this.#forget();
    const use = { tasks: this.#entries.length, tokens: 0, costUsd: 0, queued: this.#waiting.length };
    for (const { tokens, costUsd } of this.#entries) {
      use.tokens += tokens;
      use.costUsd += costUsd;
    }
    return use;
  }

  /**
   * Takes a share for a task, at once or when it is its turn.
   *
   * @throws {@link A2AError} `BUDGET_EXCEEDED`: transient with `context.retryAfterMs`, permanent if the task would never
   * fit; the signal's reason
   */
  async acquire(
    estimate: TaskEstimate,
    signal: AbortSignal | undefined,
    where: string,
  ): Promise<BudgetLease> {
    signal?.throwIfAborted();
    const never = this.#exceeded(estimate, { tasks: 0, tokens: 0, costUsd: 0 });
    if (never !== undefined) throw exceeded(where, never, undefined);
    const limit = this.#exceeded(estimate, this.use);
    if (limit === undefined && this.#waiting.length === 0) return this.#lease(estimate, where);
    if (this.#waiting.length >= this.#depth) throw exceeded(where, limit ?? "queue", this.#nextFreeMs());
    return this.#wait(estimate, signal);
  }

  #wait(estimate: TaskEstimate, signal: AbortSignal | undefined): Promise<BudgetLease> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        estimate,
        resolve: (lease) => {
          signal?.removeEventListener("abort", leave);
          resolve(lease);
        },
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#admit();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
      this.#admit();
    });
  }

  /** Lets in who fits, in order, and comes back when the next may. */
  #admit(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#exceeded(first.estimate, this.use) !== undefined) {
        this.#timer = setTimeout(() => this.#admit(), this.#nextFreeMs());
        return;
      }
      this.#waiting.shift();
      first.resolve(this.#lease(first.estimate, "A2APeers"));
    }
  }

  #lease(estimate: TaskEstimate, where: string): BudgetLease {
    const entry: Entry = { at: performance.now(), ...estimate };
    this.#entries.push(entry);
    return {
      adjust: (other) => {
        this.#entries = this.#entries.filter((each) => each !== entry);
        const limit = this.#exceeded(other, this.use);
        if (limit !== undefined) throw exceeded(where, limit, this.#nextFreeMs());
        Object.assign(entry, other);
        // Same time as before, so the order stays: nothing was added in between.
        this.#entries.push(entry);
      },
      settle: (actual) => {
        Object.assign(entry, actual);
        this.#admit();
      },
      release: () => {
        this.#entries = this.#entries.filter((each) => each !== entry);
        this.#admit();
      },
    };
  }

  #exceeded(
    { tokens, costUsd }: TaskEstimate,
    use: TaskEstimate & { tasks: number },
  ): "maxTasks" | "maxTokens" | "maxCostUsd" | undefined {
    if (use.tasks + 1 > this.#maxTasks) return "maxTasks";
    if (use.tokens + tokens > this.#maxTokens || (tokens === 0 && use.tokens >= this.#maxTokens))
      return "maxTokens";
    if (use.costUsd + costUsd > this.#maxCostUsd || (costUsd === 0 && use.costUsd >= this.#maxCostUsd)) {
      return "maxCostUsd";
    }
    return undefined;
  }

  #forget(): void {
    const oldest = performance.now() - this.#windowMs;
    const kept = this.#entries.findIndex(({ at }) => at > oldest);
    if (kept !== 0) this.#entries = kept === -1 ? [] : this.#entries.slice(kept);
  }

  /** Time until something leaves the window. */
  #nextFreeMs(): number {
    const first = this.#entries[0];
    return first === undefined ? 1 : Math.max(1, Math.ceil(first.at + this.#windowMs - performance.now()));
  }
}

function exceeded(where: string, limit: string, retryAfterMs: number | undefined): A2AError {
  const isFinal = retryAfterMs === undefined;
  return new A2AError(
    `${where}: the budget does not allow this task (${limit})${isFinal ? ", nor will it ever" : ""}`,
    {
      code: "BUDGET_EXCEEDED",
      category: isFinal ? "permanent" : "transient",
      context: { limit, ...(isFinal ? {} : { retryAfterMs }) },
      hint: "raise the budget, or let tasks wait: budget.overflow = { queue }",
    },
  );
}
