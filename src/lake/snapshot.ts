import type { NativeCollection } from "../../native/binding.js";
import { CollectionReader } from "./collection-reader.js";
import { lakeCall } from "./native-call.js";

/**
 * A collection as it was at one moment, for reading. Made by {@link Collection.snapshot}, {@link Collection.at} and
 * within sessions. It keeps its files until it is closed.
 */
export class Snapshot<Meta extends object = Record<string, unknown>> extends CollectionReader<Meta> {
  /** The id of the state: 26 characters; those of later states of the collection sort after it. */
  readonly id: string;

  /** @internal Only {@link openSnapshot} makes one. */
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
  protected get reopening(): string {
    return "Collection.snapshot() and at() make others.";
  }

  /** @internal */
  protected where(method: string): string {
    return `Snapshot.${method}()`;
  }
}

/** The snapshot of the handle that a native call gives, unless its collection goes meanwhile. */
export function openSnapshot<Meta extends object>(
  where: string,
  lake: { readonly closed: boolean },
  start: () => Promise<NativeCollection>,
): Promise<Snapshot<Meta>> {
  return lakeCall(where, undefined, async () => {
    const handle = await start();
    try {
      return new Snapshot<Meta>(handle, lake);
    } catch (error) {
      handle.close();
      throw error;
    }
  });
}
