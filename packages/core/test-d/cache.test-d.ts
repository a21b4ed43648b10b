import { type CacheMetricsSnapshot, type CacheRead, createCache, defineKeys, resource } from '@cachekit/core';
import { withCache } from '@cachekit/core/http';

const keys = defineKeys({
  scope: 'tenant',
  resources: { devices: resource<string[]>(), call: resource<{ id: string } | null, { id: string }>() },
});
const cache = createCache({ memory: { maxEntries: 10 }, policy: { ttl: '5m', timeout: { hard: '1s' } } });
const devices = keys.devices({ tenant: 'a' });

const value: Promise<string[]> = cache.getOrLoad(devices, () => ['a']);
const loaded: Promise<{ id: string } | null> = cache.getOrLoad(
  keys.call({ tenant: 'a', id: '1' }),
  async () => null,
);
const read: Promise<CacheRead<string[]>> = cache.read(devices, ({ stale }) => stale ?? []);
const clock: Promise<number> = cache.invalidate(devices, keys.call({ tenant: 'a', id: '1' }));
const tags: Promise<number> = cache.invalidateTags(keys.tag('a', 'x'), keys.tag('a', 'y'));
const metrics: CacheMetricsSnapshot = cache.metrics();
const handler: (request: Request) => Promise<Response> = withCache(cache, {
  key: () => devices,
  load: async (_request, { signal }) => [String(signal.aborted)],
});
cache.on('loadError', ({ error, servedStale }) => [error, servedStale]);

// @ts-expect-error the loader gives the value of the key
cache.getOrLoad(devices, async () => [1]);
// @ts-expect-error a loader gives something
cache.getOrLoad(devices, async () => undefined);
// @ts-expect-error a text is no key
cache.getOrLoad('devices', async () => []);
// @ts-expect-error the value has the type of the key
cache.set(devices, 'phone');
// @ts-expect-error a text is no tag
cache.invalidateTags('calls');
// @ts-expect-error a key is no tag
cache.invalidateTags(devices);
// @ts-expect-error a tag is no key
cache.invalidate(keys.tag('a', 'x'));
// @ts-expect-error options are known
cache.getOrLoad(devices, async () => [], { grace: '1h' });
// @ts-expect-error options are known
createCache({ maxEntries: 10 });
// @ts-expect-error events are known
cache.on('hit', () => {});
// @ts-expect-error the handler loads the value of its key
withCache(cache, { key: () => devices, load: async () => 1 });

export { clock, handler, loaded, metrics, read, tags, value };
