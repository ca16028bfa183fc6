import { A2AError } from "../../errors.js";
import { nextTurn } from "../../turns.js";
import { isLegacyCard } from "./canonical-card.js";
import { isObject } from "./card-shape.js";
import { cardText } from "./card-text.js";

/** One address of an agent, and what is spoken there. */
export interface AgentInterface {
  url: string;
  /** `"JSONRPC"`, `"HTTP+JSON"`, `"GRPC"`, or another that the agent names. */
  protocolBinding: string;
  /** As the card has it, such as `"1.0"` or `"0.3.0"`. */
  protocolVersion: string;
  tenant?: string;
}

/** Something an agent can do. */
export interface AgentSkill {
  id: string;
  name: string;
  description: string;
  tags: string[];
  examples: string[];
  /** Media types it takes. */
  inputModes: string[];
  /** Media types it gives. */
  outputModes: string[];
}

/**
 * What an agent says about itself, the same for cards of A2A 1.0 and 0.3. Texts are single lines of limited length
 * without hidden characters, and still the words of a stranger.
 */
export interface AgentCard {
  name: string;
  description: string;
  version: string;
  provider?: { organization: string; url?: string };
  documentationUrl?: string;
  iconUrl?: string;
  capabilities: { streaming: boolean; pushNotifications: boolean; extendedAgentCard: boolean };
  /** In the order of the agent's preference. */
  interfaces: AgentInterface[];
  skills: AgentSkill[];
  inputModes: string[];
  outputModes: string[];
  /** As the card has them. */
  securitySchemes: Record<string, unknown>;
}

const LONGEST_NAME = 200;
const LONGEST_TEXT = 2_000;
const MOST_INTERFACES = 32;
const MOST_SKILLS = 500;
const MOST_TEXTS = 100;

/** Skills that are read between two turns of the event loop. */
const SLICE = 50;

/**
 * Reads a card of A2A 1.0 or 0.3.
 *
 * @throws {@link A2AError} `CARD_INVALID`; `context.path` says where, as a JSON pointer
 */
export async function readCard(json: Record<string, unknown>): Promise<AgentCard> {
  const card = new CardReader(json, "");
  const capabilities = card.object("capabilities");
  const provider = card.object("provider");
  const legacy = isLegacyCard(json);
  const interfaces = legacy
    ? legacyInterfaces(card)
    : card.list("supportedInterfaces", MOST_INTERFACES).map(readInterface);
  if (interfaces.length === 0) throw invalid(legacy ? "/url" : "/supportedInterfaces", "an interface");
  const extended = legacy
    ? card.flag("supportsAuthenticatedExtendedCard")
    : capabilities.flag("extendedAgentCard");
  const urls = { documentationUrl: card.url("documentationUrl"), iconUrl: card.url("iconUrl") };
  const organization = provider.text("organization", LONGEST_NAME);
  const providerUrl = provider.url("url");
  const skills: AgentSkill[] = [];
  for (const [at, skill] of card.list("skills", MOST_SKILLS).entries()) {
    if (at % SLICE === 0) await nextTurn();
    skills.push(readSkill(skill));
  }
  return {
    name: card.needed("name", LONGEST_NAME),
    description: card.text("description", LONGEST_TEXT),
    version: card.text("version", LONGEST_NAME),
    ...(organization !== "" && {
      provider: { organization, ...(providerUrl !== undefined && { url: providerUrl }) },
    }),
    ...(urls.documentationUrl !== undefined && { documentationUrl: urls.documentationUrl }),
    ...(urls.iconUrl !== undefined && { iconUrl: urls.iconUrl }),
    capabilities: {
      streaming: capabilities.flag("streaming"),
      pushNotifications: capabilities.flag("pushNotifications"),
      extendedAgentCard: extended,
    },
    interfaces,
    skills,
    inputModes: card.texts("defaultInputModes"),
    outputModes: card.texts("defaultOutputModes"),
    securitySchemes: card.object("securitySchemes").json,
  };
}

function readInterface(each: CardReader): AgentInterface {
  const tenant = each.text("tenant", LONGEST_NAME);
  return {
    url: each.exact("url"),
    protocolBinding: each.exact("protocolBinding"),
    protocolVersion: each.exact("protocolVersion"),
    ...(tenant !== "" && { tenant }),
  };
}

function legacyInterfaces(card: CardReader): AgentInterface[] {
  const protocolVersion = card.text("protocolVersion", LONGEST_NAME) || "0.3.0";
  const first = {
    url: card.exact("url"),
    protocolBinding: card.text("preferredTransport", LONGEST_NAME) || "JSONRPC",
    protocolVersion,
  };
  const others = card.list("additionalInterfaces", MOST_INTERFACES).map((each) => ({
    url: each.exact("url"),
    protocolBinding: each.exact("transport"),
    protocolVersion,
  }));
  // Cards repeat the first one among the others, as the specification recommends.
  const isOther = (each: AgentInterface) =>
    each.url !== first.url || each.protocolBinding !== first.protocolBinding;
  return [first, ...others.filter(isOther)];
}

function readSkill(skill: CardReader): AgentSkill {
  return {
    id: skill.needed("id", LONGEST_NAME),
    name: skill.text("name", LONGEST_NAME),
    description: skill.text("description", LONGEST_TEXT),
    tags: skill.texts("tags"),
    examples: skill.texts("examples"),
    inputModes: skill.texts("inputModes"),
    outputModes: skill.texts("outputModes"),
  };
}

/** Reads fields of an object of a card, with the place of each for errors. */
class CardReader {
  readonly json: Record<string, unknown>;
  readonly #path: string;

  constructor(json: Record<string, unknown>, path: string) {
    this.json = json;
    this.#path = path;
  }

  /** As it is, for machines. */
  exact(name: string): string {
    const value = this.#string(name);
    if (value === undefined || value === "" || value.length > LONGEST_TEXT)
      throw invalid(this.#at(name), "a text");
    return value;
  }

  text(name: string, longest: number): string {
    return cardText(this.#string(name) ?? "", longest);
  }

  needed(name: string, longest: number): string {
    const text = this.text(name, longest);
    if (text === "") throw invalid(this.#at(name), "a text");
    return text;
  }

  texts(name: string): string[] {
    const value = this.#array(name);
    return value.slice(0, MOST_TEXTS).map((text, at) => {
      if (typeof text !== "string") throw invalid(`${this.#at(name)}/${at}`, "a text");
      return cardText(text, LONGEST_TEXT);
    });
  }

  /** A link for people; what is none that a browser may open is left out. */
  url(name: string): string | undefined {
    const value = this.#string(name);
    if (value === undefined || !URL.canParse(value)) return undefined;
    return /^https?:/i.test(value) && value.length <= LONGEST_TEXT ? new URL(value).href : undefined;
  }

  flag(name: string): boolean {
    const value = this.json[name] ?? false;
    if (typeof value !== "boolean") throw invalid(this.#at(name), "true or false");
    return value;
  }

  object(name: string): CardReader {
    const value = this.json[name] ?? {};
    if (!isObject(value)) throw invalid(this.#at(name), "an object");
    return new CardReader(value, this.#at(name));
  }

  list(name: string, most: number): CardReader[] {
    const value = this.#array(name);
    if (value.length > most) throw invalid(this.#at(name), `at most ${most} items`);
    return value.map((item, at) => {
      if (!isObject(item)) throw invalid(`${this.#at(name)}/${at}`, "an object");
      return new CardReader(item, `${this.#at(name)}/${at}`);
    });
  }

  #array(name: string): unknown[] {
    const value = this.json[name] ?? [];
    if (!Array.isArray(value)) throw invalid(this.#at(name), "a list");
    return value;
  }

  #string(name: string): string | undefined {
    const value = this.json[name] ?? undefined;
    if (value !== undefined && typeof value !== "string") throw invalid(this.#at(name), "a text");
    return value;
  }

  #at(name: string): string {
    return `${this.#path}/${name}`;
  }
}

function invalid(path: string, expected: string): A2AError {
  return new A2AError(`The agent card is invalid: ${path} must be ${expected}`, {
    code: "CARD_INVALID",
    context: { path },
  });
}
