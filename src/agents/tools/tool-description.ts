import type { AgentSkill } from "../card/agent-card.js";
import type { A2APeer } from "../peer/peer.js";

/** Longest texts of a card that become part of a description that models read. */
const LONGEST_VERIFIED = 1_000;
const LONGEST_UNVERIFIED = 200;
const MOST_SKILLS = 30;

/** Longest name of a tool that all providers of models take. */
const LONGEST_NAME = 64;

/** A name for a tool, of letters, digits, `_` and `-`. */
export function toolName(...words: readonly string[]): string {
  const name = words
    .map((word) =>
      word
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "_")
        .replace(/^_+|_+$/g, ""),
    )
    .filter((word) => word !== "")
    .join("_");
  return (name || "remote_agent").slice(0, LONGEST_NAME);
}

/**
 * What a tool for one peer does. The words of its card stand in quotes, as its own; of a card that nobody trusted has
 * signed, only few.
 */
export function describePeer({ card, verified }: A2APeer, skill?: AgentSkill): string {
  const quote = quoter(verified !== undefined);
  const who = `Sends a message to the remote agent ${quote(card.name)} and gives its answer.`;
  const does = skill === undefined ? card.description : `${skill.name}: ${skill.description}`;
  const says = `${verified === undefined ? "It says of itself, unverified" : "It says of itself"}: ${quote(does)}`;
  return `${who} ${says}.${skill === undefined ? describeSkills(card.skills, quote) : ""}`;
}

/** What a tool for several peers does. */
export function describePeers(peers: readonly A2APeer[]): string {
  const lines = peers.map(({ card, verified }) => {
    const quote = quoter(verified !== undefined);
    return `- ${quote(card.name)}${verified === undefined ? ", unverified" : ""}: ${quote(card.description)}.${describeSkills(card.skills, quote)}`;
  });
  return ["Sends a message to one of these remote agents and gives its answer:", ...lines].join("\n");
}

function describeSkills(skills: readonly AgentSkill[], quote: (text: string) => string): string {
  if (skills.length === 0) return "";
  const list = skills.slice(0, MOST_SKILLS).map(({ id, name }) => `${quote(id)} (${quote(name)})`);
  return ` Skills: ${list.join(", ")}.`;
}

function quoter(isVerified: boolean): (text: string) => string {
  const longest = isVerified ? LONGEST_VERIFIED : LONGEST_UNVERIFIED;
  return (text) => JSON.stringify(text.length > longest ? `${text.slice(0, longest)}…` : text);
}
