import { isObject } from "./card-shape.js";
import { cardText } from "./card-text.js";

/** One difference between two cards. */
export interface CardChange {
  /** JSON pointer (RFC 6901). */
  path: string;
  /** Shortened; missing where there was nothing. */
  before?: string;
  after?: string;
}

const MOST_CHANGES = 20;
const LONGEST_VALUE = 120;

/** Where two cards differ, the first twenty places. */
export function cardChanges(before: unknown, after: unknown): CardChange[] {
  const changes: CardChange[] = [];
  compare(before, after, "", changes);
  return changes;
}

function compare(before: unknown, after: unknown, path: string, changes: CardChange[]): void {
  if (changes.length >= MOST_CHANGES) return;
  if (isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const pointer = cardText(key, LONGEST_VALUE).replaceAll("~", "~0").replaceAll("/", "~1");
      compare(before[key], after[key], `${path}/${pointer}`, changes);
    }
  } else if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let at = 0; at < length; at++) compare(before[at], after[at], `${path}/${at}`, changes);
  } else if (JSON.stringify(before) !== JSON.stringify(after)) {
    changes.push({
      path,
      ...(before !== undefined && { before: shown(before) }),
      ...(after !== undefined && { after: shown(after) }),
    });
  }
}

function shown(value: unknown): string {
  return cardText(typeof value === "string" ? value : (JSON.stringify(value) ?? ""), LONGEST_VALUE);
}
