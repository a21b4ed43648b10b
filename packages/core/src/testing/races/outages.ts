import { expect } from 'vitest';
import type { Cache } from '../../cache/cache.ts';
import { coldReadMs, type Ground, outageTimeoutMs } from './ground.ts';
import type { Race } from './race.ts';

/** The store is away: reads do without it, and no invalidation is lost in silence. */
export const outages: readonly Race[] = [
  {
    id: 'R10',
    title: 'the store is not there at the start: a cold read goes to its loader',
    needs: 'processes',
    breaks: true,
    async run(ground) {
      const { cache, link } = await ground.start({}, outageTimeoutMs);
      link.refuse();
      await loadsInTime(ground, cache);
      link.mend();
    },
  },
  {
    id: 'R11',
    title: 'the store stops: a cold read goes to its loader',
    needs: 'processes',
    breaks: true,
    async run(ground) {
      const { cache, link } = await ground.start({}, outageTimeoutMs);
      await cache.getOrLoad(ground.item('warm'), async () => 1);
      link.hang();
      await loadsInTime(ground, cache);
      link.mend();
    },
  },
  {
    id: 'R12',
    title: 'the store dies: a cold read goes to its loader',
    needs: 'processes',
    breaks: true,
    async run(ground) {
      const { cache, link } = await ground.start({}, outageTimeoutMs);
      await cache.getOrLoad(ground.item('warm'), async () => 1);
      link.refuse();
      await loadsInTime(ground, cache);
      link.mend();
    },
  },
  {
    id: 'R13',
    title: 'an invalidation that does not get through is refused, or carried out later',
    needs: 'processes',
    breaks: true,
    async run(ground) {
      const rejecting = await ground.start({}, outageTimeoutMs);
      const repairing = await ground.start({ onUnreached: 'repair' }, outageTimeoutMs);
      const other = await ground.start();
      const key = ground.item('a');
      await other.cache.getOrLoad(key, async () => 'old');
      for (const { cache } of [rejecting, repairing]) await cache.getOrLoad(key, async () => 'no');
      for (const { link } of [rejecting, repairing]) link.refuse();
      await expect(rejecting.cache.invalidate(key)).rejects.toMatchObject({ code: 'TIER_FAILED' });
      await repairing.cache.invalidate(key);
      for (const { link } of [rejecting, repairing]) link.mend();
      await ground.eventually(() => other.cache.getOrLoad(key, async () => 'new'), 'new');
    },
  },
];

async function loadsInTime(ground: Ground, cache: Cache): Promise<void> {
  const startedAt = performance.now();
  expect(await cache.getOrLoad(ground.item('a'), async () => 'loaded')).toBe('loaded');
  expect(performance.now() - startedAt).toBeLessThan(coldReadMs);
}
