import { checkOptions, invalidOption } from "../../options.js";
import { A2APeers } from "../dispatch/peers.js";
import type { A2APeer } from "../peer/peer.js";
import { type A2AToolOptions, RemoteTool, TOOL_OPTIONS } from "./remote-tool.js";
import { toolName } from "./tool-description.js";

/** Options of tools for several remote agents. */
export interface A2AToolsOptions extends Omit<A2AToolOptions, "name" | "description" | "skill"> {
  /** One tool for every peer, for every skill of every peer, or a single one that chooses. Default `"peer"`. */
  per?: "peer" | "skill" | "router";
}

/**
 * Tools for several peers. Through {@link A2APeers} its budget, guards and circuits hold for all of them.
 *
 * @throws {@link ConfigError} `UNKNOWN_OPTION` or `INVALID_OPTION`
 */
export function remoteTools(
  peers: A2APeers | readonly A2APeer[],
  { per = "peer", ...options }: A2AToolsOptions,
  where: string,
): RemoteTool[] {
  checkOptions(options, TOOL_OPTIONS, where);
  const all = "peers" in peers ? peers : new A2APeers(peers);
  if (per === "router") return [new RemoteTool(all, options, where)];
  if (per !== "peer" && per !== "skill")
    throw invalidOption(where, "per", `"peer", "skill" or "router"`, per);
  const taken = new Set<string>();
  const named = (...words: string[]): string => {
    const name = toolName(...words);
    for (let number = 1; ; number++) {
      const free = number === 1 ? name : `${name.slice(0, 60)}_${number}`;
      if (taken.has(free)) continue;
      taken.add(free);
      return free;
    }
  };
  return all.peers.flatMap((peer) => {
    if (per === "peer") {
      return [new RemoteTool(all, { ...options, name: named("ask", peer.card.name) }, where, peer)];
    }
    return peer.skills.map(({ id }) => {
      const own = { ...options, skill: id, name: named(peer.card.name, id) };
      return new RemoteTool(all, own, where, peer);
    });
  });
}
