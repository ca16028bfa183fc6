import { describe } from "../options.js";
import { Abortable } from "./abortable.js";
import { invalidArgument } from "./native-call.js";

/** Items as users may give them. */
export type Source<T> = Iterable<T> | AsyncIterable<T>;

/**
 * Refuses what is not iterable.
 *
 * @throws {@link LakeError} `INVALID_ARGUMENT`
 */
export function checkSource(source: unknown, where: string): void {
  const iterate = property(source, Symbol.asyncIterator) ?? property(source, Symbol.iterator);
  if (typeof iterate === "function") return;
  const isRecord = property(source, "id") !== undefined || property(source, "vector") !== undefined;
  const expected = "an array, an iterable or an async iterable of records";
  throw invalidArgument(
    where,
    "records",
    expected,
    describe(source),
    isRecord ? "Write [record]." : undefined,
  );
}

/** Whether the items are waited for: anything may happen before the next. */
export function isAsync<T>(source: Source<T>): source is AsyncIterable<T> {
  return typeof property(source, Symbol.asyncIterator) === "function";
}

/**
 * Reads a source as `for of` or `for await` does, and says where it breaks their rules: they would throw a bare `TypeError`.
 *
 * @param signal - ends the wait for an item, too
 * @param each - takes an item, at once unless it returns a promise: plain items then need no turn of the microtask queue
 * @throws {@link LakeError} `INVALID_ARGUMENT`; whatever the source or `each` throws
 */
export async function readSource<T>(
  source: Source<T>,
  signal: AbortSignal | undefined,
  where: string,
  each: (item: T) => Promise<void> | undefined,
): Promise<void> {
  if (isAsync(source)) {
    const items = checkIterator(source[Symbol.asyncIterator](), "asyncIterator", where);
    return readAsync(signal === undefined ? items : new Abortable(items, signal), where, each);
  }
  const items = checkIterator(source[Symbol.iterator](), "iterator", where);
  for (;;) {
    const item = items.next();
    try {
      checkItem(item, where);
      if (item.done) return;
      const taken = each(item.value);
      if (taken !== undefined) await taken;
    } catch (error) {
      try {
        items.return?.();
      } catch {
        // The first error is the one to tell.
      }
      throw error;
    }
  }
}

async function readAsync<T>(
  items: AsyncIterator<T>,
  where: string,
  each: (item: T) => Promise<void> | undefined,
): Promise<void> {
  for (;;) {
    const item = await items.next();
    try {
      checkItem(item, where);
      if (item.done) return;
      const taken = each(item.value);
      if (taken !== undefined) await taken;
    } catch (error) {
      try {
        await items.return?.();
      } catch {
        // As above.
      }
      throw error;
    }
  }
}

function checkIterator<I>(items: I, name: "iterator" | "asyncIterator", where: string): I {
  if (typeof property(items, "next") === "function") return items;
  const expected = "an object with a method next";
  throw invalidArgument(where, `the result of records[Symbol.${name}]()`, expected, describe(items));
}

function checkItem(item: unknown, where: string): void {
  if (typeof item === "object" && item !== null) return;
  const expected = "an object with done and value";
  throw invalidArgument(where, "what next() of the records' iterator returns", expected, describe(item));
}

function property(value: unknown, name: PropertyKey): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<PropertyKey, unknown>)[name]
    : undefined;
}
