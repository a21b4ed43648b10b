import { expect } from 'vitest';
import { type Clock, systemClock } from '../../ports/clock.ts';
import { later } from './ground.ts';
import type { Race } from './race.ts';

const rounds = 20;

/** What memory holds against what others change. */
export const coherence: readonly Race[] = [
  {
    id: 'R6',
    title: 'a tag invalidated by a process whose clock is wrong',
    needs: 'processes',
    async run(ground) {
      const a = await ground.start();
      for (const skewMs of [-5_000, 5_000, -3_600_000, 3_600_000]) {
        const wrong = await ground.start({ clock: skewed(skewMs) });
        const key = ground.item(`skew ${skewMs}`);
        await a.cache.getOrLoad(key, async () => 'old');
        await wrong.cache.invalidateTags(ground.items);
        expect(await wrong.cache.getOrLoad(key, async () => 'new')).toBe('new');
        await ground.eventually(() => a.cache.getOrLoad(key, async () => 'no'), 'new');
        // What the wrong clock stored is as fresh elsewhere as it is there.
        expect(await (await ground.start()).cache.getOrLoad(key, async () => 'no')).toBe('new');
      }
    },
  },
  {
    id: 'R7',
    title: 'an answer that an invalidation overtook on the bus does not fill memory',
    needs: 'processes',
    breaks: true,
    async run(ground) {
      const [a, b] = await ground.two();
      await b.cache.getOrLoad(ground.item('a'), async () => 'old');
      // Connected and armed, with the key not in memory.
      await ground.inMemory(a.cache, 'warm', 1);
      const letGo = a.link.hold();
      const early = a.cache.getOrLoad(ground.item('a'), async () => 'loaded early').catch(() => {});
      // Long enough for the answer to be on its way; it is held in any case.
      await later(20);
      await b.cache.invalidate(ground.item('a'));
      await b.cache.getOrLoad(ground.item('a'), async () => 'new');
      letGo();
      await early;
      await ground.eventually(() => a.cache.getOrLoad(ground.item('a'), async () => 'no'), 'new');
      expect(await a.cache.getOrLoad(ground.item('a'), async () => 'no')).toBe('new');
    },
  },
  {
    id: 'R8',
    title: 'the connection of the bus is cut, and another process invalidates at once',
    needs: 'processes',
    breaks: true,
    async run(ground) {
      const [a, b] = await ground.two();
      for (const { cache } of [a, b]) await ground.inMemory(cache, 'a', 'old');
      a.link.cutBus();
      await b.cache.invalidate(ground.item('a'));
      await ground.eventually(() => a.cache.getOrLoad(ground.item('a'), async () => 'new'), 'new');
      expect(await b.cache.getOrLoad(ground.item('a'), async () => 'no')).toBe('new');
    },
  },
  {
    id: 'R9',
    title: 'a delete by a foreign client reaches memory',
    needs: 'foreign',
    async run(ground) {
      const { cache } = await ground.start();
      await ground.inMemory(cache, 'a', 'old');
      await ground.shared.remove(ground.item('a').wire);
      await ground.eventually(() => cache.getOrLoad(ground.item('a'), async () => 'new'), 'new');
    },
  },
  {
    id: 'R16',
    title: 'memory that is filled from the store keeps what is left of the ttl',
    needs: 'processes',
    async run(ground) {
      const [a, b] = await ground.two();
      const policy = { ttl: '1500ms' } as const;
      await a.cache.getOrLoad(ground.item('a'), async () => 'old', policy);
      const storedAt = performance.now();
      await later(700);
      await b.cache.getOrLoad(ground.item('a'), async () => 'old', policy);
      const { loads } = b.cache.metrics().cache.overall;
      await later(1_600 - (performance.now() - storedAt));
      const late = await b.cache.getOrLoad(ground.item('a'), async () => 'new', policy);
      // On a machine that stood still the read in between was already a load; then there is nothing to see.
      if (loads === 0) expect(late).toBe('new');
    },
  },
  {
    id: 'R19',
    title: 'two processes set a key at once, and all agree on what it came to',
    needs: 'processes',
    async run(ground) {
      const both = await ground.two();
      const [a, b] = both;
      const late = await ground.start();
      const cold = await ground.start({ memory: false });
      let last: unknown;
      for (let round = 0; round < rounds; round++) {
        await Promise.all([
          a.cache.set(ground.item('a'), `a${round}`),
          b.cache.set(ground.item('a'), `b${round}`),
        ]);
        const [one, other] = await Promise.all(
          both.map(({ cache }) => cache.getOrLoad(ground.item('a'), async () => 'no')),
        );
        expect(one).toMatch(new RegExp(`^[ab]${round}$`));
        expect(other).toBe(one);
        expect(await cold.cache.getOrLoad(ground.item('a'), async () => 'no')).toBe(one);
        last = one;
      }
      await ground.eventually(() => late.cache.getOrLoad(ground.item('a'), async () => 'no'), last);
    },
  },
  {
    id: 'R20',
    title: 'an invalidation by a process that does not have the key reaches the memory of others',
    needs: 'processes',
    async run(ground) {
      const [a, b] = await ground.two();
      await ground.inMemory(a.cache, 'a', 'old');
      await b.cache.invalidate(ground.item('a'));
      await ground.eventually(() => a.cache.getOrLoad(ground.item('a'), async () => 'new'), 'new');
    },
  },
];

/** A clock that is off. */
function skewed(skewMs: number): Clock {
  return {
    now: () => systemClock.now() + skewMs,
    setTimeout: (run, delayMs) => systemClock.setTimeout(run, delayMs),
    clearTimeout: (timer) => systemClock.clearTimeout(timer),
  };
}
