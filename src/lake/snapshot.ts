import type { NativeCollection } from "../../native/binding.js";
import { CollectionReader } from "./collection-reader.js";

/**
 * A collection as it was at one moment, for reading. Made by {@link Collection.snapshot}, {@link Collection.at} and
 * within sessions. It keeps its files until it is closed.
 */
export class Snapshot<Meta extends object = Record<string, unknown>> extends CollectionReader<Meta> {
  /** The id of the state: 26 characters; those of later states of the collection sort after it. */
  readonly id: string;

  /** @internal Only a {@link Collection} makes one. */
  constructor(handle: unknown, lake: { readonly closed: boolean }) {
    const native = handle as NativeCollection;
    super(native, lake);
    this.id = native.snapshotId;
  }

  /** @internal */
  protected get what(): string {
    return `snapshot of '${this.name}'`;
  }

  /** @internal */
  protected where(method: string): string {
    return `Snapshot.${method}()`;
  }
}
