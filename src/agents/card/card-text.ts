/**
 * What no text of a card needs and what can hide something in it: controls, line and paragraph separators, everything
 * of the category "format" (directions, zero-width characters, tags), private use, halves of surrogate pairs, and the
 * variation selectors that can carry bytes.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]|[\u{e0100}-\u{e01ef}]/gu;

/**
 * Text of a card for people and models to read: one line without hidden characters, of a limited length. It stays the
 * text of a stranger: quote it.
 *
 * @param longest - in UTF-16 code units; what is longer ends with an ellipsis
 */
export function cardText(text: string, longest: number): string {
  // Cut first: the rest is not worth looking at, and hidden characters cannot make the result longer.
  const line = text
    .slice(0, longest * 4)
    .replace(/[\t\n\r\u0085\u2028\u2029]/g, " ")
    .replace(HIDDEN, "")
    .replace(/\s+/g, " ")
    .trim();
  if (line.length <= longest) return line;
  return `${line.slice(0, longest - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
