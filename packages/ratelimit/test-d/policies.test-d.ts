import type { Decision, LimitStatus, RateLimiter } from '../src/index.ts';
import { createRateLimiter, fixedWindow, gcra, memoryStore } from '../src/index.ts';

const limiter = createRateLimiter({
  policies: { api: gcra({ limit: 60, window: '1m' }), commands: fixedWindow({ limit: 10, window: 60_000 }) },
  store: memoryStore(),
});

export const named: RateLimiter<'api' | 'commands'> = limiter;

export async function decisions(): Promise<void> {
  const decision = await limiter.consume({ api: ['u1'], commands: ['d1', 7] }, { tenant: 'acme', cost: 2 });
  const both: Decision<'api' | 'commands'> = decision;
  const api: LimitStatus = both.limits.api;
  const remaining: number | undefined = api.remaining;
  void remaining;

  const one = await limiter.consume({ api: ['u1'] });
  const violated: readonly 'api'[] = one.violated;
  void violated;
  // @ts-expect-error a decision speaks only of the policies that were asked
  void one.limits.commands;

  // @ts-expect-error no such policy
  await limiter.consume({ nope: ['u1'] });
  // @ts-expect-error an id may be missing at run time, and then everybody would share one
  await limiter.consume({ api: [undefined] });
  // @ts-expect-error the parts of an id are a list
  await limiter.consume({ api: 'u1' });
  // @ts-expect-error no such option
  await limiter.consume({ api: ['u1'] }, { costs: 1 });
}

// @ts-expect-error a duration without a known unit
gcra({ limit: 1, window: '1 minute' });
// @ts-expect-error the window is required
gcra({ limit: 1 });
// @ts-expect-error the store is required
createRateLimiter({ policies: { api: gcra({ limit: 1, window: 1 }) } });
createRateLimiter({
  policies: { api: gcra({ limit: 1, window: 1 }) },
  store: memoryStore(),
  // @ts-expect-error no such answer to failure
  onUnavailable: 'maybe',
});
