import type { NativeSession } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { describe } from "../options.js";
import { toSelection } from "./delete-selection.js";
import type { Filter } from "./filter.js";
import { invalidArgument, lakeCall } from "./native-call.js";
import type {
  CollectionHit,
  CollectionSearchOptions,
  DeleteSelection,
  GetOptions,
  RecordInput,
  StoredRecord,
} from "./records.js";
import { Snapshot } from "./snapshot.js";
import { upsertRecords } from "./upsert.js";
import type { VectorInput } from "./vector.js";

/**
 * Changes of any number of collections that happen together or not at all. Given to the function of
 * {@link RuLake.session}.
 */
export class Session {
  readonly #native: NativeSession;
  readonly #lake: { readonly closed: boolean };
  /** Ends when everything asked for so far is done: what a session does happens in the order of the calls. */
  #tail: Promise<unknown> = Promise.resolve();
  #failure: { error: unknown } | undefined;
  #ended = false;

  /** @internal Only {@link RuLake.session} makes one. */
  constructor(handle: unknown, lake: { readonly closed: boolean }) {
    this.#native = handle as NativeSession;
    this.#lake = lake;
  }

  /** A collection as the session sees it: as it was when the session began, with what the session has written. */
  collection<Meta extends object = Record<string, unknown>>(name: string): SessionCollection<Meta> {
    if (typeof name !== "string") {
      throw invalidArgument("Session.collection()", "name", "a string", describe(name));
    }
    return new SessionCollection<Meta>(name, this);
  }

  /** @internal Does something with the session when everything before is done. */
  do<T>(where: string, work: (native: NativeSession) => Promise<T>): Promise<T> {
    if (this.#ended) {
      return Promise.reject(new LakeError(`${where}: the session is closed`, { code: "CLOSED" }));
    }
    const done = this.#tail.then(() => work(this.#native));
    this.#tail = done.catch((error) => {
      this.#failure ??= { error };
    });
    return done;
  }

  /** @internal What the session sees of a collection. */
  async view<Meta extends object>(name: string, where: string): Promise<Snapshot<Meta>> {
    const handle = await this.do(where, (native) => lakeCall(where, undefined, () => native.view(name)));
    return new Snapshot<Meta>(handle, this.#lake);
  }

  /** @internal Ends the session when everything asked for is done; a call that failed, awaited or not, fails it. */
  async end(commit: boolean, where: string): Promise<void> {
    this.#ended = true;
    await this.#tail;
    if (commit && this.#failure === undefined) {
      await lakeCall(where, undefined, () => this.#native.commit());
      return;
    }
    this.#native.close();
    if (commit && this.#failure !== undefined) throw this.#failure.error;
  }
}

/** A collection within a {@link Session}. */
export class SessionCollection<Meta extends object = Record<string, unknown>> {
  /** Name within the lake. */
  readonly name: string;
  readonly #session: Session;

  /** @internal */
  constructor(name: string, session: Session) {
    this.name = name;
    this.#session = session;
  }

  /**
   * Inserts or replaces records, for the session to see now and for others once it is committed.
   *
   * @returns ids of the records, in input order
   * @throws {@link LakeError} as {@link Collection.upsert}; the session then fails as a whole
   */
  async upsert(
    records: Iterable<RecordInput<Meta>> | AsyncIterable<RecordInput<Meta>>,
  ): Promise<{ ids: string[] }> {
    const where = this.#where("upsert");
    const { ids } = await this.#session.do(where, (native) =>
      upsertRecords(where, records, {}, async (batch) => {
        const affected = await lakeCall(where, undefined, () => native.upsert(this.name, batch));
        return { snapshot: "", affected };
      }),
    );
    return { ids };
  }

  /** Deletes records likewise; ids that do not exist are ignored. */
  async delete(selection: DeleteSelection<Meta>): Promise<{ deleted: number }> {
    const where = this.#where("delete");
    const deleted = await this.#session.do(where, async (native) => {
      const { ids, filter } = await toSelection(selection, where);
      return lakeCall(where, undefined, () => native.delete(this.name, ids, filter));
    });
    return { deleted };
  }

  /** Records by id, in the order asked for; missing ones are skipped. */
  get(ids: readonly string[], options: GetOptions = {}): Promise<StoredRecord<Meta>[]> {
    return this.#read("get", (view) => view.get(ids, options));
  }

  /** Number of records, or of those that match. */
  count(filter?: Filter<Meta>): Promise<number> {
    return this.#read("count", (view) => view.count(filter));
  }

  /** The records nearest to a vector, see {@link Collection.search}. */
  search(vector: VectorInput, options: CollectionSearchOptions<Meta> = {}): Promise<CollectionHit<Meta>[]> {
    return this.#read("search", (view) => view.search(vector, options));
  }

  /** All that can be read: the collection as the session sees it now, later writes of the session excluded. */
  snapshot(): Promise<Snapshot<Meta>> {
    return this.#session.view<Meta>(this.name, this.#where("snapshot"));
  }

  async #read<T>(method: string, read: (view: Snapshot<Meta>) => Promise<T>): Promise<T> {
    const view = await this.#session.view<Meta>(this.name, this.#where(method));
    try {
      return await read(view);
    } finally {
      await view.close();
    }
  }

  #where(method: string): string {
    return `SessionCollection.${method}()`;
  }
}
