import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Caller, ServeAuth } from "./serve-options.js";
import { HttpRefusal } from "./served-request.js";

/** Finds out who asks. Resolves to `undefined` when everybody may; see {@link ServeAuth}. */
export type CallerCheck = (request: IncomingMessage) => Promise<Caller | undefined>;

/** @throws {@link HttpRefusal} 401, when the check is made */
export function callerCheck(auth: ServeAuth | undefined): CallerCheck {
  if (auth === undefined) return async () => undefined;
  const check = typeof auth === "function" ? auth : tokenCheck(auth.bearer);
  return async (request) => {
    const caller = await check(request);
    if (caller !== undefined) return caller;
    throw new HttpRefusal(401, "credentials are missing or wrong", { "www-authenticate": "Bearer" });
  };
}

function tokenCheck(bearer: string | readonly string[]): (request: IncomingMessage) => Caller | undefined {
  const known = (typeof bearer === "string" ? [bearer] : bearer).map(digest);
  return ({ headers }) => {
    const given = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
    if (given === undefined) return undefined;
    // Digests have one length, and comparing them tells nothing by its duration.
    const found = known.find((each) => timingSafeEqual(each, digest(given)));
    return found === undefined ? undefined : { name: found.toString("hex").slice(0, 16) };
  };
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
