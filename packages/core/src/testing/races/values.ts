import { expect, vi } from 'vitest';
import { encodeLease } from '../../entry.ts';
import { defaultPolicy } from '../../policy.ts';
import type { Race } from './race.ts';

/** Values and keys that are easily taken for something else. */
export const values: readonly Race[] = [
  {
    id: 'R15',
    title: '0, "", false and null are hits',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const other = await ground.another(cache);
      for (const [index, value] of [0, '', false, null].entries()) {
        await cache.getOrLoad(ground.item(`${index}`), async () => value);
        expect(await other.getOrLoad(ground.item(`${index}`), async () => 'missed')).toBe(value);
      }
    },
  },
  {
    id: 'R17',
    title: 'garbage at a key goes to the loader, and is replaced',
    needs: 'processes',
    async run(ground) {
      const { cache } = await ground.start();
      // Without memory, so that every read is one of the store.
      const reader = (await ground.start({ memory: false })).cache;
      const other = (await ground.start({ memory: false })).cache;
      const damaged = vi.fn();
      reader.on('damaged', damaged);
      const key = ground.item('a');
      const now = Date.now();
      const lease = (until: number) => encodeLease({ token: 'aForeigner', clock: now * 1_000, until });
      for (const text of [
        '',
        'garbage',
        '{"value":1}',
        'C1V',
        'C1V'.padEnd(200, '0'),
        'C1L',
        'C1L'.padEnd(200, '0'),
        // What would be leases if they went away by themselves.
        lease(now - 60_000),
        lease(now + 3_600_000),
      ]) {
        await ground.shared.write(key.wire, text);
        damaged.mockClear();
        const startedAt = performance.now();
        expect(await reader.getOrLoad(key, async () => 'loaded')).toBe('loaded');
        // Nobody waits for a lease that nobody holds, as one would until the load times out.
        expect(performance.now() - startedAt).toBeLessThan(defaultPolicy.hardTimeoutMs / 2);
        expect(damaged).toHaveBeenCalledTimes(1);
        expect(await other.getOrLoad(key, async () => 'no')).toBe('loaded');
        await cache.invalidate(key);
      }
    },
  },
  {
    id: 'R18',
    title: 'something of another type at a key goes to the loader',
    needs: 'processes',
    async run(ground) {
      const { cache } = await ground.start();
      await ground.shared.spoil(ground.item('a').wire);
      expect(await cache.getOrLoad(ground.item('a'), async () => 'loaded')).toBe('loaded');
      await cache.invalidate(ground.item('a'));
      expect(await cache.getOrLoad(ground.item('a'), async () => 'new')).toBe('new');
    },
  },
  {
    id: 'R23',
    title: 'ids that mean something elsewhere are ids',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const strange = [
        '__proto__',
        'constructor',
        '*',
        '?[a-z]',
        'a\nb',
        'a b',
        'é',
        '🙂',
        '{x}',
        'a:b',
        '%',
      ];
      const ids = [...strange, '#items'];
      for (const id of ids) await cache.getOrLoad(ground.item(id), async () => id);
      for (const id of ids) expect(await cache.getOrLoad(ground.item(id), async () => 'missed')).toBe(id);
      await cache.invalidate(ground.item('*'));
      expect(await cache.getOrLoad(ground.item('*'), async () => 'new')).toBe('new');
      expect(await cache.getOrLoad(ground.item('a b'), async () => 'missed')).toBe('a b');
    },
  },
  {
    id: 'R24',
    title: 'a result that is changed does not change the cache',
    needs: 'memory',
    async run(ground) {
      for (const share of ['freeze', 'clone'] as const) {
        const { cache } = await ground.start({ memory: { share } });
        const key = ground.item(`list of ${share}`);
        for (let turn = 0; turn < 3; turn++) {
          const value = (await cache.getOrLoad(key, async () => ({ list: [1] }))) as { list: number[] };
          try {
            value.list.push(2);
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
          }
        }
        expect(await cache.getOrLoad(key, async () => 'missed')).toEqual({ list: [1] });
      }
    },
  },
];
