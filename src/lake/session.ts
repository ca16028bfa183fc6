import type { NativeSession, UpsertBatch } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { checkOptions, describe } from "../options.js";
import { toSelection } from "./delete-selection.js";
import type { Filter } from "./filter.js";
import { invalidArgument, lakeCall, lakeCallNow } from "./native-call.js";
import type {
  CollectionHit,
  CollectionSearchOptions,
  DeleteSelection,
  GetOptions,
  RecordInput,
  StoredRecord,
  UpsertOptions,
} from "./records.js";
import { openSnapshot, type Snapshot } from "./snapshot.js";
import { isAsync } from "./source.js";
import { upsertRecords } from "./upsert.js";
import type { VectorInput } from "./vector.js";

/**
 * Changes of any number of collections that happen together or not at all. Given to the function of
 * {@link RuLake.session}. Writes count whether they are awaited or not: the session is committed when the last is done,
 * and fails if one of them does.
 */
export class Session {
  readonly #native: NativeSession;
  readonly #lake: { readonly closed: boolean };
  /** Ends when everything asked for so far is done: what a session does happens in the order of the calls. */
  #tail: Promise<unknown> = Promise.resolve();
  /** Those under way. Some wait for their records, not yet for their turn. */
  readonly #writes = new Set<Promise<unknown>>();
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
  async do<T>(where: string, work: (native: NativeSession) => Promise<T>): Promise<T> {
    this.#checkOpen(where);
    const done = this.#tail.then(() => work(this.#native));
    this.#tail = done.catch((error) => {
      this.#failure ??= { error };
    });
    return done;
  }

  /**
   * @internal A write, which takes its turns by itself. The session lasts until it is done, and fails with it; so nobody
   * else has to hear of its failure.
   */
  write<T>(where: string, begin: () => Promise<T>): Promise<T> {
    const done = this.#write(where, begin);
    if (!this.#ended) done.catch(() => {});
    return done;
  }

  async #write<T>(where: string, begin: () => Promise<T>): Promise<T> {
    this.#checkOpen(where);
    const done = begin();
    this.#writes.add(done);
    try {
      return await done;
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    } finally {
      this.#writes.delete(done);
    }
  }

  /** @internal What the session sees of a collection. */
  view<Meta extends object>(name: string, where: string): Promise<Snapshot<Meta>> {
    return this.do(where, (native) => openSnapshot<Meta>(where, this.#lake, () => native.view(name)));
  }

  /** @internal Ends the session when everything asked for is done; a call that failed, awaited or not, fails it. */
  async end(commit: boolean, where: string): Promise<void> {
    // What waits for its records may ask for more. When all is in vain they are not waited for: they may never come.
    while (commit && this.#failure === undefined && this.#writes.size > 0) {
      await Promise.all(this.#writes).catch(() => {});
    }
    this.#ended = true;
    await this.#tail;
    if (commit && this.#failure === undefined) {
      await lakeCall(where, undefined, () => this.#native.commit());
      return;
    }
    lakeCallNow(where, () => this.#native.close());
    if (commit && this.#failure !== undefined) throw this.#failure.error;
  }

  #checkOpen(where: string): void {
    if (!this.#ended) return;
    throw new LakeError(`${where}: the session is closed`, {
      code: "CLOSED",
      hint: "Await its calls within the function that was given to lake.session().",
    });
  }
}

/** Does something with the session when it is its turn. */
type InTurn = <T>(work: (native: NativeSession) => Promise<T>) => Promise<T>;

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
   * An async iterable may read from the session, and write: other calls go on while it is waited for, and each of its
   * batches, of up to 10,000 records or 32 MB, has its turn when it is complete. Await the upsert before calls that are
   * to see all of it.
   *
   * @param options - `signal` stops the upsert, also while an async iterable has it wait, and with it the session
   * @returns ids of the records, in input order
   * @throws {@link LakeError} as {@link Collection.upsert}; the session then fails as a whole
   */
  upsert(
    records: Iterable<RecordInput<Meta>> | AsyncIterable<RecordInput<Meta>>,
    options: Pick<UpsertOptions, "signal"> = {},
  ): Promise<{ ids: string[] }> {
    const where = this.#where("upsert");
    const session = this.#session;
    const upsert = async (inTurn: InTurn): Promise<{ ids: string[] }> => {
      checkOptions(options, ["signal"], where);
      const commit = async (batch: UpsertBatch) => {
        const affected = await inTurn((native) =>
          lakeCall(where, undefined, () => native.upsert(this.name, batch)),
        );
        return { snapshot: "", affected };
      };
      try {
        const { ids } = await upsertRecords(where, records, options, commit);
        return { ids };
      } catch (error) {
        // Nothing is, whatever the session has of it.
        if (LakeError.isInstance(error)) delete error.context.committed;
        throw error;
      }
    };
    return session.write(where, async () => {
      // Waiting within its turn for what waits for a turn, it would wait for ever.
      if (isAsync(records)) return upsert((work) => session.do(where, work));
      return session.do(where, (native) => upsert((work) => work(native)));
    });
  }

  /** Deletes records likewise; ids that do not exist are ignored. */
  delete(selection: DeleteSelection<Meta>): Promise<{ deleted: number }> {
    const where = this.#where("delete");
    const work = async (native: NativeSession) => {
      const { ids, filter } = await toSelection(selection, where);
      return { deleted: await lakeCall(where, undefined, () => native.delete(this.name, ids, filter)) };
    };
    return this.#session.write(where, () => this.#session.do(where, work));
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
