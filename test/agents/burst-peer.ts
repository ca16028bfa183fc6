import { spawn } from "node:child_process";
import { once } from "node:events";
import { inRoot } from "../../scripts/paths.mjs";

/** A peer in a process of its own that sends as many updates as the message says; see `burst-server.mjs`. */
export async function burstPeer(): Promise<{ url: string; stop: () => void }> {
  const child = spawn(process.execPath, [inRoot("test/agents/burst-server.mjs")], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  if (child.stdout === null) throw new Error("the peer has no output");
  const [line] = await once(child.stdout, "data");
  return { url: String(line).trim(), stop: () => child.kill() };
}
