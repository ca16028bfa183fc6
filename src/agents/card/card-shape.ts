/** A field of a message of the protocol, as far as canonical forms need to know it. */
interface Field {
  /** Shape of the message, of each message of a list, or of each value of a map. */
  of?: Shape;
  /** How values of messages are held; a leaf otherwise: text, flag, list or map of text, free-form object. */
  in?: "message" | "list" | "map";
  /** `REQUIRED` in the protocol: the specification keeps it even if it is empty. */
  required?: boolean;
  /** `optional` in the protocol: whether it is set can be told from its default, so `false` stays. */
  explicit?: boolean;
}

/** Fields of a message by their names in JSON. */
export type Shape = Readonly<Record<string, Field>>;

const plain: Field = {};
const required: Field = { required: true };
const explicit: Field = { explicit: true };
const message = (of: Shape, field: Field = plain): Field => ({ ...field, in: "message", of });
const list = (of: Shape, field: Field = plain): Field => ({ ...field, in: "list", of });
const map = (of: Shape): Field => ({ in: "map", of });

const described = { description: plain };
const tokens = { tokenUrl: required, refreshUrl: plain, scopes: required };

const securityScheme: Shape = {
  apiKeySecurityScheme: message({ ...described, location: required, name: required }),
  httpAuthSecurityScheme: message({ ...described, scheme: required, bearerFormat: plain }),
  oauth2SecurityScheme: message({
    ...described,
    flows: message(
      {
        authorizationCode: message({ ...tokens, authorizationUrl: required, pkceRequired: plain }),
        clientCredentials: message(tokens),
        implicit: message({ authorizationUrl: plain, refreshUrl: plain, scopes: plain }),
        password: message({ tokenUrl: plain, refreshUrl: plain, scopes: plain }),
        deviceCode: message({ ...tokens, deviceAuthorizationUrl: required }),
      },
      required,
    ),
    oauth2MetadataUrl: plain,
  }),
  openIdConnectSecurityScheme: message({ ...described, openIdConnectUrl: required }),
  mtlsSecurityScheme: message(described),
};

const securityRequirements = list({ schemes: map({ list: plain }) });

/**
 * What A2A 1.0 signs of an agent card: every field but `signatures`. Source: `specification/a2a.proto` of A2A 1.0.1,
 * message `AgentCard` and those below it.
 */
export const CARD_SHAPE: Shape = {
  name: required,
  description: required,
  supportedInterfaces: list(
    { url: required, protocolBinding: required, tenant: plain, protocolVersion: required },
    required,
  ),
  provider: message({ url: required, organization: required }),
  version: required,
  documentationUrl: explicit,
  capabilities: message(
    {
      streaming: explicit,
      pushNotifications: explicit,
      extensions: list({ uri: plain, description: plain, required: plain, params: explicit }),
      extendedAgentCard: explicit,
    },
    required,
  ),
  securitySchemes: map(securityScheme),
  securityRequirements,
  defaultInputModes: required,
  defaultOutputModes: required,
  skills: list(
    {
      id: required,
      name: required,
      description: required,
      tags: required,
      examples: plain,
      inputModes: plain,
      outputModes: plain,
      securityRequirements,
    },
    required,
  ),
  iconUrl: explicit,
};

/**
 * What is left of a JSON object as a message of a shape: known fields that are set, those at their default only where
 * the protocol keeps them.
 */
export function project(json: Record<string, unknown>, shape: Shape): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(shape)) {
    const value = Object.hasOwn(json, name) ? inside(json[name], field) : undefined;
    if (value === undefined || value === null) continue;
    if (field.required || field.explicit || field.in === "message" || !isDefault(value)) kept[name] = value;
  }
  return kept;
}

function inside(value: unknown, field: Field): unknown {
  const { of, in: holder } = field;
  if (of === undefined) return value;
  const each = (item: unknown) => (isObject(item) ? project(item, of) : item);
  if (holder === "list") return Array.isArray(value) ? value.map(each) : value;
  if (holder === "message" || !isObject(value)) return each(value);
  const items: Record<string, unknown> = {};
  for (const key of Object.keys(value)) items[key] = each(value[key]);
  return items;
}

function isDefault(value: unknown): boolean {
  if (value === "" || value === false || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

/** Whether a value of JSON is an object, neither an array nor null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
