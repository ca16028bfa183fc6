import type { NativeCollection } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { CollectionReader } from "./collection-reader.js";
import type { Metric } from "./records.js";

/**
 * A collection as it was at one moment, for reading. Made by {@link Collection.snapshot}, {@link Collection.at} and
 * within sessions. It keeps its files until it is closed.
 */
export class Snapshot<Meta extends object = Record<string, unknown>>
  extends CollectionReader<Meta>
  implements AsyncDisposable
{
  readonly name: string;
  readonly metric: Metric;
  /** The id of the state: 26 characters; those of later states of the collection sort after it. */
  readonly id: string;

  readonly #native: NativeCollection;
  readonly #lake: { readonly closed: boolean };
  #closed = false;

  /** @internal Only a {@link Collection} makes one. */
  constructor(handle: unknown, lake: { readonly closed: boolean }) {
    super();
    this.#native = handle as NativeCollection;
    this.#lake = lake;
    this.name = this.#native.name;
    this.metric = this.#native.metric as Metric;
    this.id = this.#native.snapshotId;
  }

  /** Lets go of the state. Later calls throw `CLOSED`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  protected where(method: string): string {
    return `Snapshot.${method}()`;
  }

  /** @internal */
  protected open(method: string): NativeCollection {
    if (!this.#closed && !this.#lake.closed) return this.#native;
    const what = this.#closed ? `snapshot of '${this.name}'` : "lake";
    throw new LakeError(`${this.where(method)}: the ${what} is closed`, { code: "CLOSED" });
  }
}
