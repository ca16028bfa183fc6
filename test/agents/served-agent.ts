import { generateKeyPairSync } from "node:crypto";
import {
  A2APeer,
  type A2AServer,
  type AgentHandler,
  type ConnectOptions,
  type ServeOptions,
  serveAsA2A,
} from "rulake/agents";
import { onTestFinished } from "vitest";

/** A new key that can sign cards. */
export const signingKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

/** Serves an agent on a free port until the test is done. */
export async function served(
  options: Partial<ServeOptions> | AgentHandler,
): Promise<{ server: A2AServer; url: string }> {
  const given = typeof options === "function" ? { handler: options } : options;
  const server = await serveAsA2A({ card: { name: "Tester", description: "Answers tests" }, ...given });
  onTestFinished(() => server.close());
  const { url } = await server.listen();
  return { server, url };
}

/** Connects to an agent of this machine until the test is done. */
export async function connect(url: string, options: ConnectOptions = {}): Promise<A2APeer> {
  const peer = await A2APeer.connect(url, { network: { allowLoopback: true }, ...options });
  onTestFinished(() => peer.close());
  return peer;
}

/** An agent that asks for a colour and a size before it paints. */
export const painter: AgentHandler = async function* ({ text, history }) {
  const asked = history.filter(({ role }) => role === "user").map((turn) => turn.text);
  if (asked.length === 0) yield { inputRequired: "which colour?" };
  else if (asked.length === 1) yield { inputRequired: "how large?" };
  else yield* ["painted ", asked[0] ?? "", ` ${asked[1]} and ${text}`];
};
