import { type CacheEntry, cachified, type Cache as EntryStore } from '@epic-web/cachified';
import KeyvRedis from '@keyv/redis';
import { createCache as createDedupe } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { redisDriver } from 'bentocache/drivers/redis';
import { createCache as createCacheManager } from 'cache-manager';
import { Cacheable } from 'cacheable';
import type { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { Loader } from 'layered-loader/core';
import { RedisCache } from 'layered-loader/redis';

/** A cache in Redis that reads through: what it has not, `load` gives. Memory holds nothing. */
export interface RemoteCache {
  readonly name: string;
  get(key: string): Promise<unknown>;
  /** Several keys that are all there, in one round trip; only of those that can. Values need their `key` for it. */
  getMany?(keys: string[]): Promise<readonly unknown[]>;
  close?(): Promise<unknown>;
}

/** An hour, in milliseconds: nothing ends while it is measured. */
const ttl = 3_600_000;

/**
 * The caches that are compared, each as its README sets it up for values in Redis: over the client that all share, but for
 * those whose store brings its own.
 */
export function redisCaches(
  client: Redis,
  url: string,
  load: (key: string) => Promise<object>,
): RemoteCache[] {
  const layered = new Loader<object>({
    inMemoryCache: false,
    asyncCache: new RedisCache<object>(client, { prefix: 'layered', json: true, ttlInMsecs: ttl }),
    cacheKeyFromValueResolver: (value) => (value as { key?: string }).key ?? '',
    dataSourceGetOneFn: (key) => load(key),
    dataSourceGetManyFn: async () => {
      throw new Error('This was to be a hit');
    },
  });
  const dedupe = createDedupe({ ttl: ttl / 1_000, storage: { type: 'redis', options: { client } } }).define(
    'value',
    (key: string) => load(key),
  );
  const bento = new BentoCache({
    default: 'redis',
    prefix: 'bento',
    stores: { redis: bentostore().useL2Layer(redisDriver({ connection: client })) },
  });
  const cacheable = new Cacheable({ primary: keyv(url, 'cacheable'), ttl });
  const manager = createCacheManager({ stores: [keyv(url, 'manager')], ttl });
  const entries = entryStore(client);
  return [
    { name: 'layered-loader', get: (key) => layered.get(key), getMany: (keys) => layered.getMany(keys) },
    { name: 'async-cache-dedupe', get: (key) => dedupe.value(key) },
    { name: 'bentocache', get: (key) => bento.getOrSet({ key, ttl, factory: () => load(key) }) },
    {
      name: 'cachified',
      get: (key) => cachified({ key, cache: entries, ttl, getFreshValue: () => load(key) }),
    },
    {
      name: 'cacheable',
      get: (key) => cacheable.getOrSet(key, () => load(key), { ttl }),
      getMany: (keys) => cacheable.getMany(keys),
      close: () => cacheable.disconnect(),
    },
    {
      name: 'cache-manager',
      get: (key) => manager.wrap(key, () => load(key)),
      getMany: (keys) => manager.mget(keys),
      close: () => manager.disconnect(),
    },
  ];
}

function keyv(url: string, namespace: string): Keyv {
  return new Keyv({ store: new KeyvRedis(url), namespace, useKeyPrefix: false });
}

/** What an adapter of its author does for another client. */
function entryStore(client: Redis): EntryStore {
  return {
    name: 'redis',
    async get(key) {
      const text = await client.get(`cachified:${key}`);
      return text === null ? null : (JSON.parse(text) as CacheEntry);
    },
    set: (key, entry) => client.set(`cachified:${key}`, JSON.stringify(entry), 'PX', ttl),
    delete: (key) => client.del(`cachified:${key}`),
  };
}
