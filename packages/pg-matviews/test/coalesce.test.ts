import { describe, expect, it } from 'vitest';
import { Coalesced } from '../src/refresh/coalesce.ts';

/** Runs that take their demand and end when the test says so. */
function manual() {
  const begin: (() => void)[] = [];
  const end: ((error?: Error) => void)[] = [];
  const demands: number[] = [];
  const runs = new Coalesced<number, number>(
    async (open) => {
      await new Promise<void>((resolve) => begin.push(resolve));
      demands.push(open.take());
      await new Promise<void>((resolve, reject) => end.push((error) => (error ? reject(error) : resolve())));
      return demands.length;
    },
    (a, b) => Math.max(a, b),
  );
  const ticks = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  return { runs, begin, end, demands, ticks };
}

describe('Coalesced', () => {
  it('serves all requests that came before the work began, with their merged demand', async () => {
    const { runs, begin, end, demands, ticks } = manual();
    const requests = [runs.request(1), runs.request(5), runs.request(3)];
    await ticks();
    begin[0]?.();
    await ticks();
    end[0]?.();
    expect(await Promise.all(requests)).toEqual([1, 1, 1]);
    expect(demands).toEqual([5]);
  });

  it('runs exactly once more for ten requests during the work', async () => {
    const { runs, begin, end, demands, ticks } = manual();
    const first = runs.request(0);
    await ticks();
    begin[0]?.();
    await ticks();
    const during = Array.from({ length: 10 }, (_, n) => runs.request(n));
    await ticks();
    expect(begin).toHaveLength(1);
    end[0]?.();
    await ticks();
    begin[1]?.();
    await ticks();
    end[1]?.();
    expect(await first).toBe(1);
    expect(new Set(await Promise.all(during))).toEqual(new Set([2]));
    expect(demands).toEqual([0, 9]);
    expect(begin).toHaveLength(2);
  });

  it('gives a failure to the requests it served and goes on with the next', async () => {
    const { runs, begin, end, ticks } = manual();
    const first = runs.request(1);
    await ticks();
    begin[0]?.();
    await ticks();
    const second = runs.request(2);
    end[0]?.(new Error('lost'));
    await expect(first).rejects.toThrow('lost');
    await ticks();
    begin[1]?.();
    await ticks();
    end[1]?.();
    expect(await second).toBe(2);
    const third = runs.request(3);
    await ticks();
    begin[2]?.();
    await ticks();
    end[2]?.();
    expect(await third).toBe(3);
  });
});
