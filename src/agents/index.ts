export { A2AError, ConfigError, RuLakeError } from "../errors.js";
export type { AuthOptions, MutualTlsOptions } from "./credentials.js";
export {
  createGuardedFetch,
  type GuardedFetch,
  type GuardedFetchOptions,
  type GuardedHttp,
} from "./guarded-fetch.js";
export { DEFAULT_LIMITS, type Limits } from "./limits.js";
export type { NetworkOptions, ResolvedAddress } from "./network-policy.js";
export type { OAuth2Options } from "./oauth2-token.js";
