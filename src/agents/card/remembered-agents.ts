import { A2AError } from "../../errors.js";
import { jcs } from "./canonical-card.js";
import { cardChanges } from "./card-changes.js";
import type { TrustRecord, TrustStore } from "./trust-store.js";

/** A card that is about to be trusted. */
export interface Appearance {
  /** URL of the card. */
  agent: string;
  /** The card that would be exposed, without signatures. */
  card: Record<string, unknown>;
  /** Of the keys whose signatures hold; empty if the card is not signed. */
  thumbprints: readonly string[];
  /** The caller trusts its key in any case: nothing is refused, only remembered. */
  isPinned: boolean;
}

/** An agent that was recognised. */
export interface Recognition {
  /** Which of the keys counts, if the card is signed. */
  thumbprint: string | undefined;
  isFirstUse: boolean;
}

/**
 * Trust on first use: recognises an agent by the key of its first card, or by that card itself if it was not signed.
 *
 * @throws {@link A2AError} `CARD_CHANGED` with what changed, or what the store fails with
 */
export async function recognise(store: TrustStore, appearance: Appearance): Promise<Recognition> {
  const { agent, thumbprints, isPinned } = appearance;
  const card = jcs(appearance.card);
  const now = new Date().toISOString();
  const [newest] = thumbprints;
  const record = (thumbprint: string | undefined, firstSeen: string): TrustRecord => ({
    ...(thumbprint !== undefined && { thumbprint }),
    card,
    firstSeen,
    changed: now,
  });
  const first = record(newest, now);
  const known = (await store.get(agent)) ?? (await store.add(agent, first));
  if (known === first) return { thumbprint: newest, isFirstUse: true };
  // One that was not signed and is now, without any other change, has only gained by it.
  const isSame =
    known.thumbprint === undefined ? known.card === card : thumbprints.includes(known.thumbprint);
  if (!isSame && !isPinned) throw changed(appearance, known);
  const thumbprint = isPinned || known.thumbprint === undefined ? newest : known.thumbprint;
  if (known.card !== card || known.thumbprint !== thumbprint) {
    await store.replace(agent, record(thumbprint, known.firstSeen));
  }
  return { thumbprint, isFirstUse: false };
}

function changed({ agent, card, thumbprints }: Appearance, known: TrustRecord): A2AError {
  const before: unknown = JSON.parse(known.card);
  const what =
    known.thumbprint === undefined
      ? "its card is another one"
      : thumbprints.length === 0
        ? "its card is no longer signed"
        : "its card is signed by another key";
  return new A2AError(
    `The agent is not the one that was trusted on ${known.firstSeen.slice(0, 10)}: ${what}`,
    {
      code: "CARD_CHANGED",
      context: {
        agent,
        thumbprint: { before: known.thumbprint, after: thumbprints[0] },
        changes: cardChanges(before, card),
      },
      hint: "If its owner confirms the change, remove the agent from the trust store.",
    },
  );
}
