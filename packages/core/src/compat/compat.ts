import type { Cache } from '../cache/cache.ts';
import { isCacheKitError } from '../errors.ts';
import type { CacheKey, KeyResource } from '../keys/cache-key.ts';
import { stableHash } from '../keys/stable-hash.ts';
import { rawKey, rawPattern } from './raw-key.ts';

/** The helpers that many applications write over Redis, over a cache. Made by {@link createCompat}. */
export interface Compat {
  /** The value of a key; `null` if there is none, or the remote tier does not answer. */
  getCached<T>(key: string): Promise<T | null>;

  /**
   * Stores a value for so many seconds.
   *
   * @returns Whether it was stored: `false` if the remote tier did not answer.
   */
  setCached<T>(key: string, data: T, ttlSeconds: number): Promise<boolean>;

  /**
   * Removes keys.
   *
   * @returns Whether they were: `false` if the remote tier did not answer. Memory of this process is dropped all the same.
   */
  invalidateCache(...keys: readonly string[]): Promise<boolean>;

  /**
   * Removes everything that begins with whole parts of a key: `tenant:abc:*`, `tenant:abc:recon:*`, `rates:*`, or all: `*`.
   * In O(1), without `KEYS` or `SCAN`. Entries of a key space of the same tenant go with `tenant:abc:*`, and those with a
   * tag `recon` with `tenant:abc:recon:*`.
   *
   * @returns Whether it was carried out, as for {@link Compat.invalidateCache}.
   * @throws ArgumentError `INVALID_ARGUMENT` for a pattern of another form, and for more than four parts after the tenant.
   */
  invalidatePattern(pattern: string): Promise<boolean>;
}

/**
 * Makes the helpers for code that has keys as text, on its way to `defineKeys()`.
 *
 * They never reject because Redis is down or absent; the cache tells of it as `tierError`. A key is
 * `tenant:<id>:<resource>[:<hash>]`, or any other text, which belongs to no tenant. Texts are put together by the caller,
 * so here, unlike with `defineKeys()`, an id with a colon in it reaches the keys of another tenant: give
 * `encodeURIComponent(id)` where that could be. What is read and written is counted as `unsafe`.
 *
 * @example
 * const { getCached, setCached, invalidatePattern } = createCompat(cache);
 * const key = `tenant:acme:txns:${buildCacheHash({ page: 1, from: '2026-01-01' })}`;
 * await setCached(key, [{ id: 't1' }], 60);
 * await getCached(key); // [{ id: 't1' }]
 * await invalidatePattern('tenant:acme:*');
 */
export function createCompat(
  cache: Pick<Cache, 'namespace' | 'get' | 'set' | 'invalidate' | 'invalidateTags' | 'clear'>,
): Compat {
  const resource: KeyResource = { name: 'unsafe', namespace: cache.namespace, policy: {} };
  const keyOf = (text: string): CacheKey => rawKey(resource, text);
  return {
    getCached: async <T>(key: string) => ((await cache.get(keyOf(key))) ?? null) as T | null,
    setCached: (key, data, ttlSeconds) =>
      reached(() => cache.set(keyOf(key), data, { ttl: ttlSeconds * 1_000 })),
    invalidateCache: (...keys) => reached(() => cache.invalidate(...keys.map(keyOf))),
    invalidatePattern: (pattern) =>
      reached(() => {
        const meant = rawPattern(resource, pattern);
        if (meant.kind === 'all') return cache.clear();
        return meant.kind === 'tag' ? cache.invalidateTags(meant.tag) : cache.invalidate(meant.key);
      }),
  };
}

/**
 * A short text that is the same for the same parameters, in any order of keys: the `{hash}` of a key.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` for what cannot be part of a key, such as a function.
 * @see {@link stableHash}, which it is, for what counts as what.
 */
export function buildCacheHash(params: unknown): string {
  return stableHash(params);
}

async function reached(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    if (isCacheKitError(error, 'TIER_FAILED')) return false;
    throw error;
  }
}
