/**
 * The filter language: plain objects, the same everywhere a filter is taken.
 *
 * | form | matches a record whose field |
 * |---|---|
 * | `{ lang: "en" }` | equals the value (same as `$eq`); arrays and objects are compared deeply, key order aside |
 * | `$eq` `$ne` | equals / is present and does not equal |
 * | `$gt` `$gte` `$lt` `$lte` | is a number (or a string) above / below the operand; strings compare by code point |
 * | `$in` `$nin` | equals one of the operands / is present and equals none |
 * | `$exists` | is present (`true`, also when `null`) or missing (`false`) |
 * | `$isEmpty` | is missing, `null`, `""`, `[]` or `{}` (`true`), or none of these (`false`) |
 * | `$contains` | is an array with the operand as an element, or a string with it as a substring |
 * | `$containsAny` `$containsAll` | `$contains` for one / for each of the operands |
 * | `$startsWith` | is a string that starts with the operand |
 * | `$textMatch` | is a string that holds the operand as a substring, letter case aside |
 * | `$not` | does not match the operators below it (a missing field then counts as not matching them) |
 *
 * `$and`, `$or` and `$not` combine filters; several conditions in one object must all hold. A missing field matches
 * only `$exists: false` and `$isEmpty: true`; `$not` is plain negation and therefore also matches what its operand
 * missed. Values of different types are never equal and never ordered: nothing is coerced, and `null` equals only
 * `null`. `"author.name"` looks inside objects (a literal key with a dot wins); paths have at most 16 parts and
 * do not enter arrays.
 * `$id` and `$text` stand for the id and the text of the record.
 *
 * @example
 * ```ts
 * const filter = { lang: "en", year: { $gte: 2020 }, $or: [{ tags: { $contains: "rust" } }, { "author.name": "Ada" }] };
 * ```
 * @module
 */

/** What a metadata field of type `V` may be compared with. `Date` is stored as its ISO 8601 string, which keeps its order. */
export type FilterOperand<V> = V extends Date ? Date | string : V;

interface PresenceOperators {
  /** `true`: the field is present, perhaps `null`. `false`: it is missing. */
  $exists?: boolean;
  /** `true`: the field is missing, `null`, `""`, `[]` or `{}`. */
  $isEmpty?: boolean;
}

interface EqualityOperators<V> extends PresenceOperators {
  /** Equal, deeply. */
  $eq?: FilterOperand<V> | null;
  /** Present and not equal. */
  $ne?: FilterOperand<V> | null;
  /** Equal to one of these. */
  $in?: readonly (FilterOperand<V> | null)[];
  /** Present and equal to none of these. */
  $nin?: readonly (FilterOperand<V> | null)[];
  /** Negation of the operators inside. */
  $not?: FieldOperators<V>;
}

interface OrderOperators<V> {
  /** Above. */
  $gt?: FilterOperand<V>;
  /** Above or equal. */
  $gte?: FilterOperand<V>;
  /** Below. */
  $lt?: FilterOperand<V>;
  /** Below or equal. */
  $lte?: FilterOperand<V>;
}

interface ContainsOperators<V> {
  /** An element of the array, or a substring of the string. */
  $contains?: V;
  /** At least one of these is contained. */
  $containsAny?: readonly V[];
  /** Each of these is contained. */
  $containsAll?: readonly V[];
}

interface TextOperators {
  /** The string starts with this. */
  $startsWith?: string;
  /** The string holds this, letter case aside. */
  $textMatch?: string;
}

type Ordered = number | string | Date;

/** Operators a field of type `V` takes. */
export type FieldOperators<V> = EqualityOperators<V> &
  ([Extract<V, Ordered>] extends [never] ? unknown : OrderOperators<Extract<V, Ordered>>) &
  ([Extract<V, string | Date>] extends [never] ? unknown : TextOperators) &
  ([Extract<V, string | readonly unknown[]>] extends [never]
    ? unknown
    : ContainsOperators<Extract<V, string> | ElementOf<Extract<V, readonly unknown[]>>>);

type ElementOf<V> = V extends readonly (infer Element)[] ? FilterOperand<Element> : never;

/** A value to be equal to, or operators. */
export type FieldCondition<V> = unknown extends V
  ? unknown
  : FilterOperand<Exclude<V, undefined>> | null | FieldOperators<Exclude<V, undefined>>;

type Leaf = string | number | boolean | bigint | symbol | null | undefined | Date | readonly unknown[];
type Deeper = [never, 0, 1, 2, 3, 4];

/** Paths into `T`: its keys, and `"key.inner"` for objects, five levels deep; of a union, those of every member. */
export type FieldPath<T, Depth extends number = 4> = [Depth] extends [never]
  ? never
  : T extends unknown
    ? { [K in keyof T & string]: K | InnerPath<K, Exclude<T[K], Leaf>, Deeper[Depth]> }[keyof T & string]
    : never;

type InnerPath<Key extends string, Inner, Depth extends number> = [Inner] extends [never]
  ? never
  : Inner extends object
    ? `${Key}.${FieldPath<Inner, Depth>}`
    : never;

/** Type of the field at a path; of a union, what it is in the members that have it. */
export type FieldAt<T, Path extends string> = T extends unknown
  ? Path extends keyof T
    ? T[Path]
    : Path extends `${infer Head}.${infer Rest}`
      ? Head extends keyof T
        ? FieldAt<Exclude<T[Head], Leaf>, Rest>
        : never
      : never
  : never;

interface Combinations<Meta extends object> {
  /** All of these. */
  $and?: readonly Filter<Meta>[];
  /** At least one of these. */
  $or?: readonly Filter<Meta>[];
  /** Not this. */
  $not?: Filter<Meta>;
  /** Condition on the id of the record. */
  $id?: FieldCondition<string>;
  /** Condition on the text of the record. */
  $text?: FieldCondition<string>;
}

/**
 * A filter over records with metadata of type `Meta`. With a known `Meta` a wrong field name or operand does not compile;
 * with `Record<string, unknown>` any field is accepted.
 */
export type Filter<Meta extends object = Record<string, unknown>> = Combinations<Meta> &
  (string extends keyof Meta
    ? { readonly [field: string]: unknown }
    : { readonly [Path in FieldPath<Meta>]?: FieldCondition<FieldAt<Meta, Path>> });
