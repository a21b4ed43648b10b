import type { Cache } from './cache/cache.ts';
import type { CacheOptions } from './cache/cache-options.ts';
import { buildParts } from './engine/build-parts.ts';
import { EngineCache } from './engine/engine-cache.ts';

/**
 * Makes a cache: memory in front of the remote tier in front of your loaders.
 *
 * Nothing connects before the first use, and no timer keeps the process alive.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options and values that no cache can work with.
 * @example
 * const cache = createCache({ policy: { staleIfError: '1h' } });
 */
export function createCache(options: CacheOptions = {}): Cache {
  return new EngineCache((use) => buildParts(options, use));
}
