import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, vi } from 'vitest';
import { defaultPolicy } from '../../policy.ts';
import { later } from './ground.ts';
import type { Race } from './race.ts';

/** Loads: one for all who ask, and none that holds anybody for ever or leaves anything behind. */
export const loads: readonly Race[] = [
  {
    id: 'R14',
    title: '1,000 callers of a load that fails: it runs once, and all are told',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const failure = new Error('no database');
      const load = vi.fn(async () => {
        await later(20);
        throw failure;
      });
      const callers = Array.from({ length: 1_000 }, () => cache.getOrLoad(ground.item('a'), load));
      for (const result of await Promise.allSettled(callers)) {
        expect(result).toEqual({ status: 'rejected', reason: failure });
      }
      expect(load).toHaveBeenCalledTimes(1);
    },
  },
  {
    id: 'R21',
    title: 'four processes, one cold key: one load',
    needs: 'processes',
    async run(ground) {
      const all = [...(await ground.two()), ...(await ground.two())];
      const load = vi.fn(async () => {
        await later(50);
        return 'loaded';
      });
      const callers = all.flatMap(({ cache }) =>
        Array.from({ length: 50 }, () => cache.getOrLoad(ground.item('a'), load)),
      );
      expect(new Set(await Promise.all(callers))).toEqual(new Set(['loaded']));
      expect(load).toHaveBeenCalledTimes(1);
    },
  },
  {
    id: 'R22',
    title: 'a loader that never answers holds nobody for ever',
    needs: 'memory',
    async run(ground) {
      const { cache } = await ground.start();
      const key = ground.item('a');
      const never = () => new Promise<never>(() => {});
      const policy = { timeout: { hard: '200ms' } } as const;
      const both = [cache.getOrLoad(key, never, policy), cache.getOrLoad(key, never, policy)];
      for (const result of await Promise.allSettled(both)) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'LOAD_TIMEOUT' } });
      }
      expect(await cache.getOrLoad(key, async () => 'later')).toBe('later');
      expect(defaultPolicy.hardTimeoutMs).toBeLessThanOrEqual(30_000);
    },
  },
  {
    id: 'R25',
    title: 'a refresh that fails goes on serving, and is no unhandled rejection',
    needs: 'memory',
    async run(ground) {
      const unhandled = vi.fn();
      process.on('unhandledRejection', unhandled);
      try {
        const { cache } = await ground.start();
        const policy = { ttl: 20, staleWhileRevalidate: '1m' } as const;
        await cache.getOrLoad(ground.item('a'), async () => 'old', policy);
        const fails = async () => {
          throw new Error('no database');
        };
        await ground.wait(async () => {
          const found = await cache.read(ground.item('a'), fails, policy);
          expect(found).toMatchObject({ value: 'old', state: 'stale' });
        });
        await ground.wait(() => expect(cache.metrics().cache.overall.loadErrors).toBeGreaterThan(0));
        await new Promise((resolve) => setImmediate(resolve));
        expect(unhandled).not.toHaveBeenCalled();
      } finally {
        process.off('unhandledRejection', unhandled);
      }
    },
  },
  {
    id: 'R26',
    title: 'loads that fail leave nothing behind',
    needs: 'memory',
    once: true,
    async run(ground) {
      const { cache } = await ground.start();
      const { failingLoads } = ground;
      const fails = async () => {
        throw new Error('no database');
      };
      const size = 500;
      const batches = async (first: number, count: number) => {
        for (let from = first; from < first + count; from += size) {
          const ids = Array.from({ length: size }, (_, index) => `failing ${from + index}`);
          await Promise.allSettled(ids.map((id) => cache.getOrLoad(ground.item(id), fails)));
        }
      };
      await batches(0, 4 * size);
      const before = heapUsed();
      await batches(1_000_000, failingLoads);
      // 20 bytes for each, and what a process that does other things too uses meanwhile: that goes, a leak stays.
      await ground.wait(() => expect(heapUsed() - before).toBeLessThan(20 * failingLoads + 2_000_000));
      expect(cache.metrics().memory.entries).toBe(0);
    },
  },
];

/** What the heap holds after everything that nobody needs is gone. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
