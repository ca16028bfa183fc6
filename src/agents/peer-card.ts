import type { AgentCard } from "@a2a-js/sdk";

/** Something an agent can do, as its card says. */
export interface AgentSkill {
  id: string;
  name: string;
  description: string;
  tags: string[];
  examples: string[];
}
export interface PeerCard {
  name: string;
  description: string;
  version: string;
  skills: AgentSkill[];
  capabilities: { streaming: boolean; pushNotifications: boolean };
}
export function toPeerCard(card: AgentCard): PeerCard {
  return {
    name: card.name,
    description: card.description,
    version: card.version,
    skills: card.skills.map(({ id, name, description, tags, examples }) => ({
      id,
      name,
      description,
      tags,
      examples,
    })),
    capabilities: {
      streaming: card.capabilities?.streaming ?? false,
      pushNotifications: card.capabilities?.pushNotifications ?? false,
    },
  };
}
