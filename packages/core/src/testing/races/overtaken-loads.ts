import { expect } from 'vitest';
import type { Race } from './race.ts';

/** Loads that something overtakes: what they give is for those who asked before, and is kept nowhere. */
export const overtakenLoads: readonly Race[] = [
  {
    id: 'R1',
    title: 'an invalidation during a load: the next read of the process is new',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const { early, end } = await ground.loading(cache, 'a');
      await cache.invalidate(ground.item('a'));
      end('old');
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
      const { early, end } = await ground.loading(a.cache, 'a');
      await a.cache.invalidate(ground.item('a'));
      end('old');
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
      const { early, end } = await ground.loading(a.cache, 'a');
      await b.cache.invalidate(ground.item('a'));
      end('old');
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
      const { early, end } = await ground.loading(cache, 'a');
      await cache.set(ground.item('a'), 'set');
      end('old');
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
      const { early, end } = await ground.loading(cache, 'a');
      await other.invalidateTags(ground.items);
      end('old');
      await early;
      for (const reader of [cache, other]) {
        expect(await reader.getOrLoad(ground.item('a'), async () => 'new')).toBe('new');
      }
    },
  },
];
