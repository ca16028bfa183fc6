const WORDS = (
  "the a of in to and key rotate vector index search engine river mountain story market price window garden letter " +
  "music doctor school animal forest winter summer kitchen history science language computer memory network storage " +
  "table number paper glass water fire earth light shadow voice dream road bridge station ticket morning evening"
).split(" ");

/** Texts of common words, the same for the same seed; about one token per word. */
export function passages(count: number, words: number | readonly number[], seed = 7): string[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
  return Array.from({ length: count }, (_, at) => {
    const length = typeof words === "number" ? words : (words[at % words.length] ?? 1);
    return Array.from({ length }, () => WORDS[Math.floor(next() * WORDS.length)]).join(" ");
  });
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

export function length(vector: ArrayLike<number>): number {
  return Math.sqrt(dot(vector, vector));
}

/** The outcome of a call that should fail. */
export async function failure(call: () => unknown): Promise<Record<string, unknown> & Error> {
  try {
    await call();
  } catch (error) {
    return error as Record<string, unknown> & Error;
  }
  throw new Error("the call was expected to fail");
}
