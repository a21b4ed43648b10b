import { describe, expect, test } from 'vitest';
import { type Cache, type CacheKey, createCache } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys, settled, stats } from './keys.ts';

const tag = keys.tag('acme', 'devices');

/** Both processes hear each other; the one that looks has read neither key yet. */
async function setup(memory: boolean) {
  const clock = new FakeClock();
  const server = new MemoryRemote({ clock });
  const other = createCache({ clock, remote: memoryRemoteTier({ remote: server }) });
  const tier = memoryRemoteTier({ remote: server });
  const cache = createCache({ clock, remote: tier, ...(memory ? {} : { memory: false }) });
  await other.set(devices, 'devices');
  await other.set(stats, 'stats');
  await cache.get(keys.kept({ tenant: 'acme' }));
  return { cache, other, tier };
}

const looks: readonly [name: string, look: (cache: Cache) => Promise<unknown[]>][] = [
  ['get()', (cache) => Promise.all([cache.get(devices), cache.get(stats)])],
  ['getMany()', (cache) => cache.getMany([devices, stats])],
  [
    'getRaw()',
    (cache) =>
      Promise.all([devices, stats].map(async (key: CacheKey) => parsed((await cache.getRaw(key))?.text))),
  ],
];

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

const changes: readonly [name: string, change: (cache: Cache) => Promise<unknown>, all?: true][] = [
  ['delete() of the key', (cache) => cache.delete(devices)],
  ['set() of the key', (cache) => cache.set(devices, 'new')],
  ['invalidateTags()', (cache) => cache.invalidateTags(tag)],
  ['invalidatePrefix()', (cache) => cache.invalidatePrefix(devices.wire)],
  ['clear()', (cache) => cache.clear(), true],
];

describe.each(looks)('%s', (_look, look) => {
  describe.each([
    ['with memory', true],
    ['without', false],
  ] as const)('%s', (_memory, memory) => {
    test.each(changes)('gives nothing that %s of its own process overtook', async (_change, change, all) => {
      const { cache, tier } = await setup(memory);
      const answer = tier.hold('getMany');
      const early = look(cache);
      await settled();
      await change(cache);
      answer();
      expect(await early).toEqual([undefined, all ? undefined : 'stats']);
      expect(cache.peek(devices)).toBeUndefined();
    });

    test.each(changes)('keeps nothing that %s of another process overtook', async (_change, change, all) => {
      const { cache, other, tier } = await setup(memory);
      const answer = tier.hold('getMany');
      const early = look(cache);
      await settled();
      await change(other);
      answer();
      expect(await early).toEqual(['devices', 'stats']);
      expect(cache.peek(devices)).toBeUndefined();
      expect(cache.peek(stats)).toBe(memory && !all ? 'stats' : undefined);
    });

    test('keeps nothing of what it began before the cache was switched off', async () => {
      const { cache, tier } = await setup(memory);
      const answer = tier.hold('getMany');
      const early = look(cache);
      await settled();
      cache.switchOff();
      cache.switchOn();
      answer();
      await early;
      expect(cache.peek(devices)).toBeUndefined();
    });

    test('is not concerned by what happened before it was sent, nor by what happens to other keys', async () => {
      const { cache, other, tier } = await setup(memory);
      const answer = tier.hold('getMany');
      const early = look(cache);
      await settled();
      await cache.delete(keys.calls({ tenant: 'acme', limit: 1 }));
      await other.invalidateTags(keys.tag('acme', 'calls'));
      answer();
      expect(await early).toEqual(['devices', 'stats']);
      expect(cache.peek(devices)).toBe(memory ? 'devices' : undefined);
    });
  });
});

test('a tag that was invalidated during a load is known although nothing carried it meanwhile', async () => {
  const cache = createCache();
  await cache.set(devices, 'carries the tag');
  const loaded = Promise.withResolvers<void>();
  const late = cache.getOrLoad(stats, async (context) => {
    await loaded.promise;
    context.set({ tags: [tag] });
    return 'old';
  });
  await settled();
  await cache.invalidateTags(tag);
  await cache.delete(devices);
  // So many tags that those which nothing carries are forgotten.
  for (let tenant = 0; tenant < 1_100; tenant++) {
    const key = keys.devices({ tenant: `tenant-${tenant}` });
    await cache.set(key, tenant);
    await cache.delete(key);
  }
  loaded.resolve();
  expect(await late).toBe('old');
  expect(await cache.getOrLoad(stats, async () => 'new')).toBe('new');
});
