import { type CacheEntry, cachified } from '@epic-web/cachified';
import { createCache as createDedupe } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache as createCacheManager } from 'cache-manager';
import { Cacheable } from 'cacheable';
import { Loader } from 'layered-loader/core';
import { LRUCache } from 'lru-cache';

/** A cache in memory that reads through: what it has not, `load` gives. */
export interface MemoryCache {
  readonly name: string;
  get(key: string): Promise<unknown>;
  close?(): Promise<unknown>;
}

/** An hour, in milliseconds: nothing ends while it is measured. */
const ttl = 3_600_000;

/** The caches that are compared, each as its README sets it up for values in memory. */
export function memoryCaches(max: number, load: (key: string) => Promise<object>): MemoryCache[] {
  const lru = new LRUCache<string, object>({ max, ttl });
  const fetching = new LRUCache<string, object>({ max, ttl, fetchMethod: (key) => load(key) });
  const layered = new Loader<object>({
    inMemoryCache: { cacheType: 'lru-map', ttlInMsecs: ttl, maxItems: max },
    dataSourceGetOneFn: (key) => load(key),
  });
  const dedupe = createDedupe({
    ttl: ttl / 1_000,
    storage: { type: 'memory', options: { size: max } },
  }).define('value', (key: string) => load(key));
  const bento = new BentoCache({
    default: 'memory',
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: max, serialize: false })) },
  });
  const cacheable = new Cacheable({ ttl });
  const manager = createCacheManager({ ttl });
  const entries = new LRUCache<string, CacheEntry>({ max });
  return [
    {
      name: 'lru-cache and an async function',
      get: async (key) => {
        const held = lru.get(key);
        if (held !== undefined) return held;
        const value = await load(key);
        lru.set(key, value);
        return value;
      },
    },
    { name: 'lru-cache fetch()', get: (key) => fetching.fetch(key) },
    { name: 'layered-loader', get: (key) => layered.get(key) },
    { name: 'async-cache-dedupe', get: (key) => dedupe.value(key) },
    {
      name: 'bentocache',
      get: (key) => bento.getOrSet({ key, ttl, factory: () => load(key) }),
      close: () => bento.disconnectAll(),
    },
    {
      name: 'cachified',
      get: (key) => cachified({ key, cache: entries, ttl, getFreshValue: () => load(key) }),
    },
    { name: 'cacheable', get: (key) => cacheable.getOrSet(key, () => load(key), { ttl }) },
    { name: 'cache-manager', get: (key) => manager.wrap(key, () => load(key)) },
  ];
}
