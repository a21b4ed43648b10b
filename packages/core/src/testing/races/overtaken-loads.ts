import { expect } from 'vitest';
import { heldLoader } from './ground.ts';
import type { Race } from './race.ts';

/** Loads that something overtakes: what they give is for those who asked before, and is kept nowhere. */
export const overtakenLoads: readonly Race[] = [
  {
    id: 'R1',
    title: 'an invalidation during a load: the next read of the process is new',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const { load, began } = heldLoader();
      const early = cache.getOrLoad(ground.item('a'), load);
      const first = await began(0);
      await cache.invalidate(ground.item('a'));
      first.resolve('old');
      expect(await early).toBe('old');
      expect(await cache.getOrLoad(ground.item('a'), async () => 'new')).toBe('new');
      expect(await cache.getOrLoad(ground.item('a'), async () => 'newer')).toBe('new');
    },
  },
  {
    id: 'R2',
    title: 'an invalidation during a load: another process reads what is new',
    needs: 'processes',
    async run(ground) {
      const [a, b] = await ground.two();
      const c = await ground.start();
      const { load, began } = heldLoader();
      const early = a.cache.getOrLoad(ground.item('a'), load);
      const first = await began(0);
      await a.cache.invalidate(ground.item('a'));
      first.resolve('old');
      await early;
      expect(await c.cache.getOrLoad(ground.item('a'), async () => 'new')).toBe('new');
      for (const { cache } of [a, b]) {
        expect(await cache.getOrLoad(ground.item('a'), async () => 'no')).toBe('new');
      }
    },
  },
  {
    id: 'R3',
    title: 'another process invalidates while one loads',
    needs: 'processes',
    async run(ground) {
      const [a, b] = await ground.two();
      const { load, began } = heldLoader();
      const early = a.cache.getOrLoad(ground.item('a'), load);
      const first = await began(0);
      await b.cache.invalidate(ground.item('a'));
      first.resolve('old');
      await early;
      for (const { cache } of [b, a]) {
        expect(await cache.getOrLoad(ground.item('a'), async () => 'new')).toBe('new');
      }
    },
  },
  {
    id: 'R4',
    title: 'a set() during a load is not overwritten by it',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const other = await ground.another(cache);
      const { load, began } = heldLoader();
      const early = cache.getOrLoad(ground.item('a'), load);
      const first = await began(0);
      await cache.set(ground.item('a'), 'set');
      first.resolve('old');
      await early;
      for (const reader of [cache, other]) {
        expect(await reader.getOrLoad(ground.item('a'), async () => 'loaded')).toBe('set');
      }
    },
  },
  {
    id: 'R5',
    title: 'a tag invalidated during a load of an entry that carries it',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const other = await ground.another(cache);
      const { load, began } = heldLoader();
      const early = cache.getOrLoad(ground.item('a'), load);
      const first = await began(0);
      await other.invalidateTags(ground.items);
      first.resolve('old');
      await early;
      for (const reader of [cache, other]) {
        expect(await reader.getOrLoad(ground.item('a'), async () => 'new')).toBe('new');
      }
    },
  },
];
