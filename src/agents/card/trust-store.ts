import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { A2AError } from "../../errors.js";
import { isObject } from "./card-shape.js";

/** What is remembered of an agent since it was first seen. */
export interface TrustRecord {
  /** RFC 7638 thumbprint of the key that signed its card; missing if the card was not signed. */
  thumbprint?: string;
  /** The card as it was last accepted, in canonical form (RFC 8785) and without signatures. */
  card: string;
  /** When it was first seen, ISO 8601. */
  firstSeen: string;
  /** When its card was last accepted with a change. */
  changed: string;
}

/** Where agents are remembered for trust on first use. Agents go by the URL of their card. */
export interface TrustStore {
  get(agent: string): Promise<TrustRecord | undefined>;
  /** Keeps a record unless there is one, and gives the one that is there now: of two writers, one wins. */
  add(agent: string, record: TrustRecord): Promise<TrustRecord>;
  replace(agent: string, record: TrustRecord): Promise<void>;
  /** Forgets an agent: whatever it shows next is taken for its first appearance. */
  remove(agent: string): Promise<void>;
}

/**
 * A trust store in a directory, one file per agent. Files appear whole or not at all, and survive a power cut once
 * the promise has resolved; processes may share the directory.
 */
export class FileTrustStore implements TrustStore {
  /** Absolute path. */
  readonly directory: string;

  /** @param directory - made when it is first needed */
  constructor(directory: string) {
    this.directory = resolve(directory);
  }

  /** @throws {@link A2AError} `TRUST_STORE_FAILED` when there is a record that cannot be read */
  async get(agent: string): Promise<TrustRecord | undefined> {
    const path = this.#path(agent);
    try {
      const found = parseRecord(await readFile(path, "utf8"), agent);
      if (found !== undefined) return found;
    } catch (cause) {
      if (isCode(cause, "ENOENT")) return undefined;
      throw failed(path, "could not be read", cause);
    }
    // Never taken for a missing one: damaging a file would be a way to be trusted anew.
    throw failed(path, "is damaged");
  }

  /** @throws {@link A2AError} `TRUST_STORE_FAILED` */
  async add(agent: string, record: TrustRecord): Promise<TrustRecord> {
    const added = await this.#write(agent, record, link);
    if (added) return record;
    return (await this.get(agent)) ?? this.add(agent, record);
  }

  /** @throws {@link A2AError} `TRUST_STORE_FAILED` */
  async replace(agent: string, record: TrustRecord): Promise<void> {
    await this.#write(agent, record, rename);
  }

  /** @throws {@link A2AError} `TRUST_STORE_FAILED` */
  async remove(agent: string): Promise<void> {
    const path = this.#path(agent);
    await rm(path, { force: true }).catch((cause: unknown) => {
      throw failed(path, "could not be removed", cause);
    });
  }

  #path(agent: string): string {
    return join(this.directory, `${createHash("sha256").update(agent).digest("hex").slice(0, 40)}.json`);
  }

  /** @returns whether the record is there now; false if another one was */
  async #write(
    agent: string,
    record: TrustRecord,
    publish: (from: string, to: string) => Promise<void>,
  ): Promise<boolean> {
    const path = this.#path(agent);
    const staged = `${path}.${randomUUID()}.tmp`;
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      const file = await open(staged, "wx", 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ version: 1, agent, ...record }, undefined, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await publish(staged, path);
      await syncDirectory(this.directory);
      return true;
    } catch (cause) {
      if (isCode(cause, "EEXIST")) return false;
      throw failed(path, "could not be written", cause);
    } finally {
      await rm(staged, { force: true });
    }
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows has no such thing.
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parseRecord(text: string, agent: string): TrustRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.version !== 1 || value.agent !== agent) return undefined;
  const { thumbprint, card, firstSeen, changed } = value;
  if (typeof card !== "string" || typeof firstSeen !== "string" || typeof changed !== "string")
    return undefined;
  if (thumbprint === undefined) return { card, firstSeen, changed };
  return typeof thumbprint === "string" ? { thumbprint, card, firstSeen, changed } : undefined;
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === code;
}

function failed(path: string, what: string, cause?: unknown): A2AError {
  return new A2AError(`The trust record ${path} ${what}`, {
    code: "TRUST_STORE_FAILED",
    category: "infrastructure",
    context: { path, reason: (cause as NodeJS.ErrnoException | undefined)?.code ?? "damaged" },
    hint: "Nothing is trusted until the record can be read or is removed.",
    cause,
  });
}
