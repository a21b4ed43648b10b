import { type Duration, durationMs } from './duration.ts';
import { assertKnownOptions, ConfigurationError } from './errors.ts';

/**
 * How long a value is good for, and what happens when it no longer is.
 *
 * Given in three places, the narrower wins: for the cache, for a resource in `defineKeys()`, for one call.
 */
export interface CachePolicy {
  /** How long a value is fresh; more than 0. @defaultValue `"1m"` */
  readonly ttl?: Duration;
  /** How long after that it is still served at once, while one load behind it fetches the new one. @defaultValue 0 */
  readonly staleWhileRevalidate?: Duration;
  /** How long after `ttl` it is served when the loader fails or is too slow. @defaultValue 0 */
  readonly staleIfError?: Duration;
  /** How long "does not exist" (`null`) is kept; never longer than `ttl`; 0 keeps it not at all. @defaultValue `"30s"` */
  readonly negativeTtl?: Duration;
  /** How long a load may take. */
  readonly timeout?: {
    /** After that the old value is served, if `staleIfError` still allows it, and the load goes on. @defaultValue none */
    readonly soft?: Duration;
    /** After that the load is given up. @defaultValue `"30s"` */
    readonly hard?: Duration;
  };
}

/** A policy in milliseconds with every default filled in. */
export interface ResolvedPolicy {
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly negativeTtlMs: number;
  readonly softTimeoutMs: number;
  readonly hardTimeoutMs: number;
}

/** Every default there is. */
export const defaultPolicy: ResolvedPolicy = {
  ttlMs: 60_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  negativeTtlMs: 30_000,
  softTimeoutMs: Number.POSITIVE_INFINITY,
  hardTimeoutMs: 30_000,
};

/** The members of {@link CachePolicy}. */
export const policyOptions: readonly (keyof CachePolicy)[] = [
  'ttl',
  'staleWhileRevalidate',
  'staleIfError',
  'negativeTtl',
  'timeout',
];

/**
 * The policy in milliseconds; what it leaves open comes from `base`.
 *
 * @param where - Names the owner in errors.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a duration that is none, or a `ttl` or `hard` of 0.
 */
export function resolvePolicy(policy: CachePolicy, base: ResolvedPolicy, where: string): ResolvedPolicy {
  const timeout = policy.timeout;
  if (timeout !== undefined) {
    if (typeof timeout !== 'object' || timeout === null) {
      throw new ConfigurationError(`${where}: timeout takes { soft, hard }; got ${String(timeout)}`);
    }
    assertKnownOptions(`${where}: timeout`, timeout, ['soft', 'hard']);
  }
  const resolved: ResolvedPolicy = {
    ttlMs: given(policy.ttl, base.ttlMs, `${where}: ttl`),
    staleWhileRevalidateMs: given(
      policy.staleWhileRevalidate,
      base.staleWhileRevalidateMs,
      `${where}: staleWhileRevalidate`,
    ),
    staleIfErrorMs: given(policy.staleIfError, base.staleIfErrorMs, `${where}: staleIfError`),
    negativeTtlMs: given(policy.negativeTtl, base.negativeTtlMs, `${where}: negativeTtl`),
    softTimeoutMs: given(timeout?.soft, base.softTimeoutMs, `${where}: timeout.soft`),
    hardTimeoutMs: given(timeout?.hard, base.hardTimeoutMs, `${where}: timeout.hard`),
  };
  if (resolved.ttlMs === 0) throw new ConfigurationError(`${where}: ttl is more than 0; got 0`);
  if (resolved.hardTimeoutMs === 0)
    throw new ConfigurationError(`${where}: timeout.hard is more than 0; got 0`);
  return resolved;
}

/** How long a tier keeps an entry: freshness plus the longer of the two stale windows. */
export function keepMs(policy: ResolvedPolicy): number {
  return policy.ttlMs + Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs);
}

function given(duration: Duration | undefined, base: number, name: string): number {
  return duration === undefined ? base : durationMs(duration, name);
}
