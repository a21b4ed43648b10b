import { type Duration, durationMs } from './duration.ts';
import { assertKnownOptions, ConfigurationError } from './errors.ts';
import type { EntryKind } from './ports/remote-tier.ts';

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
  /**
   * How long the error of a load is given to those who ask again, in this process, where nothing old may be served, and
   * nothing was invalidated here meanwhile; 0 asks the loader every time. @defaultValue 0
   */
  readonly errorTtl?: Duration;
  /**
   * How much of its load time before its end a fresh value is loaded again behind those who read it, on the average of
   * an exponential draw, and never before half of its ttl. 1 suits most; 0 is off. @defaultValue 0
   */
  readonly refreshAhead?: number;
  /**
   * By how much of itself, from 0 to below 1, the ttl of an entry is shortened by its key, so that entries of one moment
   * do not end at one. @defaultValue 0
   */
  readonly jitter?: number;
  /** How long a load may take. */
  readonly timeout?: {
    /** After that the old value is served, if `staleIfError` still allows it, and the load goes on. @defaultValue none */
    readonly soft?: Duration;
    /** After that the load is given up. @defaultValue `"30s"` */
    readonly hard?: Duration;
    /** Whether a load that outlasts `soft` goes on behind the old value; if not, it is aborted. @defaultValue true */
    readonly background?: boolean;
  };
}

/** A policy in milliseconds with every default filled in. */
export interface ResolvedPolicy {
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly negativeTtlMs: number;
  readonly errorTtlMs: number;
  readonly refreshAhead: number;
  readonly jitter: number;
  readonly softTimeoutMs: number;
  readonly hardTimeoutMs: number;
  readonly background: boolean;
}

/** Every default there is. */
export const defaultPolicy: ResolvedPolicy = {
  ttlMs: 60_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  negativeTtlMs: 30_000,
  errorTtlMs: 0,
  refreshAhead: 0,
  jitter: 0,
  softTimeoutMs: Number.POSITIVE_INFINITY,
  hardTimeoutMs: 30_000,
  background: true,
};

/** The members of {@link CachePolicy}. */
export const policyOptions: readonly (keyof CachePolicy)[] = [
  'ttl',
  'staleWhileRevalidate',
  'staleIfError',
  'negativeTtl',
  'errorTtl',
  'refreshAhead',
  'jitter',
  'timeout',
];

/**
 * The policy in milliseconds; what it leaves open comes from `base`.
 *
 * @param where - Names the owner in errors.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a duration or number that is none, or a `ttl` or `hard` of 0.
 */
export function resolvePolicy(policy: CachePolicy, base: ResolvedPolicy, where: string): ResolvedPolicy {
  const timeout = policy.timeout;
  if (timeout !== undefined) {
    if (typeof timeout !== 'object' || timeout === null) {
      throw new ConfigurationError(
        `${where}: timeout takes { soft, hard, background }; got ${String(timeout)}`,
      );
    }
    assertKnownOptions(`${where}: timeout`, timeout, ['soft', 'hard', 'background']);
    const { background } = timeout;
    if (background !== undefined && typeof background !== 'boolean') {
      throw new ConfigurationError(
        `${where}: timeout.background is true or false; got ${String(background)}`,
      );
    }
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
    errorTtlMs: given(policy.errorTtl, base.errorTtlMs, `${where}: errorTtl`),
    refreshAhead: factor(policy.refreshAhead, base.refreshAhead, 100, `${where}: refreshAhead`),
    jitter: factor(policy.jitter, base.jitter, 1, `${where}: jitter`),
    softTimeoutMs: given(timeout?.soft, base.softTimeoutMs, `${where}: timeout.soft`),
    hardTimeoutMs: given(timeout?.hard, base.hardTimeoutMs, `${where}: timeout.hard`),
    background: timeout?.background ?? base.background,
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

/** How long a value is fresh, or "does not exist" is kept. */
export function lifeMs(kind: EntryKind, { ttlMs, negativeTtlMs }: ResolvedPolicy): number {
  return kind === 'negative' ? Math.min(negativeTtlMs, ttlMs) : ttlMs;
}

function given(duration: Duration | undefined, base: number, name: string): number {
  return duration === undefined ? base : durationMs(duration, name);
}

function factor(value: number | undefined, base: number, below: number, name: string): number {
  if (value === undefined) return base;
  if (typeof value === 'number' && value >= 0 && value < below) return value;
  throw new ConfigurationError(`${name}: give a number from 0 to below ${below}; got ${String(value)}`);
}
