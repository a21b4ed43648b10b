import { FakeClock } from '@cachekit/core/testing';
import { uniqueNamespace } from '@cachekit/services/vitest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  concurrency,
  createRateLimiter,
  fixedWindow,
  gcra,
  type LimitRequest,
  type LimitSession,
  memoryStore,
  type Policy,
  type PolicyAnswer,
  quota,
  type RateLimiter,
  redisStore,
  slidingWindow,
} from '../../src/index.ts';
import { connect } from './connection.ts';
import { virtualTime } from './virtual-time.ts';

const { redis } = connect();
const runs = process.env.CACHEKIT_LONG ? 1_500 : 50;

const anyRule = fc.oneof(
  fc.record({ limit: fc.integer({ min: 1, max: 9 }), window: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ limit: fc.integer({ min: 1, max: 5_000 }), window: fc.integer({ min: 1, max: 100_000 }) }),
  fc.record({ limit: fc.integer({ min: 60_000, max: 71_209 }), window: fc.constant(366 * 86_400_000) }),
);
const logRule = fc.oneof(
  fc.record({ limit: fc.integer({ min: 1, max: 9 }), window: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ limit: fc.integer({ min: 1, max: 40 }), window: fc.constant(24 * 86_400_000) }),
);
const shadow = fc.boolean();
/** Shown by its rule in a counterexample. */
const shown = (policy: Policy): Policy => {
  const { algorithm, limit, windowMs } = policy;
  const text = JSON.stringify({ [algorithm.version]: { limit, windowMs } });
  return Object.assign({ ...policy }, { [fc.toStringMethod]: () => text });
};
const policyOf = {
  gcra: anyRule.map((rule) => shown(gcra(rule))),
  fixedWindow: anyRule.map((rule) => shown(fixedWindow(rule))),
  epochWindow: anyRule.map((rule) => shown(fixedWindow({ ...rule, anchor: 'epoch' }))),
  slidingWindow: logRule.map((rule) => shown(slidingWindow(rule))),
  concurrency: logRule.map(({ limit, window }) => shown(concurrency({ limit, lease: window }))),
  quota: fc
    .record({
      limit: fc.integer({ min: 1, max: 50 }),
      per: fc.constantFrom('hour', 'day', 'month'),
      timeZone: fc.constantFrom('UTC', 'America/Sao_Paulo', 'Asia/Kathmandu'),
    })
    .map((rule) => shown(quota(rule))),
};
const share = fc.double({ min: 0, max: 1.2, noNaN: true });
const steps = fc.array(
  fc.record({
    mode: fc.oneof(
      { weight: 8, arbitrary: fc.constant('take' as const) },
      {
        weight: 5,
        arbitrary: fc.constantFrom('peek', 'force', 'give', 'give back', 'block', 'reset'),
      },
    ),
    which: fc.subarray([0, 1, 2], { minLength: 1 }),
    id: fc.constantFrom('x', 'y'),
    cost: share,
    gap: share,
  }),
  { minLength: 1, maxLength: 40 },
);

const seen = ({ fits, remaining, retryAfterMs, resetMs, blocked }: PolicyAnswer) => ({
  fits,
  remaining,
  retryAfterMs,
  resetMs,
  blocked,
});

describe('the Lua and the TypeScript of each algorithm', () => {
  test.each(Object.entries(policyOf))(
    '%s: say the same to the same requests, whatever is taken, forced, given back, blocked or reset',
    async (_name, policy) => {
      await fc.assert(
        fc.asyncProperty(
          fc.tuple(policy, policy, fc.oneof(...Object.values(policyOf))),
          fc.tuple(shadow, shadow, shadow),
          steps,
          async (made, shadows, calls) => {
            const policies = made.map((each, i) => ({ ...each, shadow: shadows[i] === true && i > 0 }));
            await compare(policies, calls);
          },
        ),
        { numRuns: runs },
      );
    },
    120_000,
  );

  test.each(Object.entries(policyOf))(
    '%s: still agree when a limit or a window is changed while its keys live',
    async (_name, policy) => {
      await fc.assert(
        fc.asyncProperty(fc.array(policy, { minLength: 2, maxLength: 4 }), steps, async (variants, calls) => {
          const { inTypeScript, inLua, clock, end } = sessions();
          for (const [i, { id, cost, gap }] of calls.entries()) {
            const rule = variants[i % variants.length] as Policy;
            await clock.advance(Math.floor(gap ** 3 * rule.windowMs));
            const request: LimitRequest = {
              mode: 'take',
              policies: [rule],
              keys: [id],
              cost: Math.max(1, Math.round(cost ** 3 * rule.limit)),
              now: clock.now(),
            };
            const expected = (await inTypeScript.check(request)).steps.map(seen);
            expect((await inLua.check(request)).steps.map(seen)).toEqual(expected);
          }
          await end();
        }),
        { numRuns: runs },
      );
    },
    120_000,
  );
});

describe('the deny cache', () => {
  test.each(Object.entries(policyOf))(
    '%s: lets pass and denies what Redis would, whatever the costs are, and tells the same wait or a shorter one',
    async (name, policy) => {
      let hits = 0;
      await fc.assert(
        fc.asyncProperty(policy, policy, steps, async (a, b, calls) => {
          const clock = new FakeClock();
          const namespace = uniqueNamespace();
          const policies = { a, b };
          const reference = createRateLimiter({ policies, store: memoryStore(), clock });
          const cached = createRateLimiter({
            policies,
            store: redisStore({
              redis: virtualTime(redis, `${namespace}:hash`, () => clock.now()),
              namespace,
            }),
            timeout: '10s',
            onUnavailable: 'throw',
            clock,
          });
          for (const { mode, which, id, cost, gap } of calls) {
            await clock.advance(Math.floor(gap ** 3 * a.windowMs));
            const names = which.length === 1 ? (['a'] as const) : (['a', 'b'] as const);
            const ids = Object.fromEntries(names.map((name) => [name, [id]])) as Record<'a' | 'b', string[]>;
            const options = { cost: Math.max(1, Math.round(cost ** 3 * a.limit)) };
            if (mode === 'give')
              await Promise.all([reference.refund(ids, options), cached.refund(ids, options)]);
            if (mode === 'reset') await Promise.all([reference.reset(ids), cached.reset(ids)]);
            // The second and third meet what the first was told.
            for (const more of [0, 0, 1]) {
              const call = { cost: options.cost + more };
              const [expected, decision] = await Promise.all([
                reference.consume(ids, call),
                cached.consume(ids, call),
              ]);
              expect(decision.allowed).toBe(expected.allowed);
              expect(decision.retryAfterMs).toBeLessThanOrEqual(expected.retryAfterMs);
              if (decision.source === 'deny-cache') hits++;
              if (`${decision.violated}` === `${expected.violated}`) {
                expect(decision.retryAfterMs).toBe(expected.retryAfterMs);
              }
            }
          }
          await redis.command('DEL', `${namespace}:hash`);
        }),
        { numRuns: runs },
      );
      // Slots are asked about each time: others give them back.
      if (name === 'concurrency') expect(hits).toBe(0);
      else expect(hits).toBeGreaterThan(10);
    },
    120_000,
  );
});

describe.each(['memory', 'redis'] as const)('what is reserved and settled late, over %s', (name) => {
  const policies = {
    bucket: gcra({ limit: 10, window: '10s' }),
    first: fixedWindow({ limit: 10, window: '10s' }),
    epoch: fixedWindow({ limit: 10, window: '10s', anchor: 'epoch' }),
    strict: slidingWindow({ limit: 10, window: '10s' }),
    hourly: quota({ limit: 10, per: 'hour' }),
  };
  type Name = keyof typeof policies;
  const names = Object.keys(policies) as Name[];
  const withLimits = async (
    test: (limits: RateLimiter<Name>, clock: FakeClock) => Promise<void>,
  ): Promise<void> => {
    const clock = new FakeClock(Date.parse('2026-03-10T12:00:00Z'));
    const namespace = uniqueNamespace();
    const over = virtualTime(redis, `${namespace}:hash`, () => clock.now());
    const store = name === 'memory' ? memoryStore() : redisStore({ redis: over, namespace });
    await test(createRateLimiter({ policies, store, clock, timeout: '10s', onUnavailable: 'throw' }), clock);
    await redis.command('DEL', `${namespace}:hash`);
  };

  test.each(names)('%s: what came back by itself does not come back once more', async (policy) => {
    await withLimits(async (limits, clock) => {
      const ids = { [policy]: ['u1'] } as never;
      for (const settle of ['cancel', 'commit'] as const) {
        const late = await limits.reserve(ids, { cost: 10 });
        expect(late.decision.allowed).toBe(true);
        await clock.advance(3_600_000);
        expect((await limits.consume(ids, { cost: 10 })).allowed).toBe(true);
        await (settle === 'cancel' ? late.cancel() : late.commit(1));
        expect((await limits.peek(ids)).limits[policy].remaining).toBe(0);
        await clock.advance(3_600_000);
      }
    });
  });

  test.each(names)('%s: what did not come back by itself does', async (policy) => {
    await withLimits(async (limits, clock) => {
      const ids = { [policy]: ['u1'] } as never;
      const estimated = await limits.reserve(ids, { cost: 10 });
      await clock.advance(1_000);
      await estimated.commit(4);
      // A second gave the bucket one more.
      expect((await limits.peek(ids)).limits[policy].remaining).toBe(policy === 'bucket' ? 7 : 6);
    });
  });

  test('a bucket that filled again in part gives the rest back', async () => {
    await withLimits(async (limits, clock) => {
      const late = await limits.reserve({ bucket: ['u1'] }, { cost: 10 });
      await clock.advance(7_000);
      await limits.consume({ bucket: ['u1'] }, { cost: 7 });
      await late.cancel();
      expect((await limits.peek({ bucket: ['u1'] })).limits.bucket.remaining).toBe(3);
    });
  });
});

function sessions(): {
  inTypeScript: LimitSession;
  inLua: LimitSession;
  clock: FakeClock;
  end: () => Promise<unknown>;
} {
  const clock = new FakeClock();
  const hash = `${uniqueNamespace()}:hash`;
  const context = { clock, timeoutMs: 10_000, onAvailable: () => {} };
  return {
    clock,
    inTypeScript: memoryStore().open(context),
    inLua: redisStore({ redis: virtualTime(redis, hash, () => clock.now()) }).open(context),
    end: () => redis.command('DEL', hash),
  };
}

async function compare(
  policies: readonly Policy[],
  calls: readonly { mode: string; which: number[]; id: string; cost: number; gap: number }[],
): Promise<void> {
  const { inTypeScript, inLua, clock, end } = sessions();
  const lastAt = new Map<string, readonly [number | undefined, number | undefined]>();
  for (const { mode, which, id, cost, gap } of calls) {
    const chosen = which.map((i) => policies[i] as Policy);
    const [first] = chosen as [Policy];
    await clock.advance(Math.floor(gap ** 3 * first.windowMs));
    const keys = which.map((i) => `${i}${id}`);
    const now = clock.now();
    const request = {
      policies: chosen,
      keys,
      cost: Math.max(1, Math.round(cost ** 3 * (chosen.at(-1) as Policy).limit)),
      now,
    };
    if (mode === 'reset') {
      await inTypeScript.reset(keys);
      await inLua.reset(keys);
    } else if (mode === 'block') {
      const durationMs = Math.max(1, Math.round(cost ** 3 * first.windowMs * 2));
      const block = { policies: chosen, keys, durationMs, reason: 'r%20%21', now };
      await inTypeScript.block(block);
      await inLua.block(block);
    } else if (mode === 'give' || mode === 'give back') {
      const at = keys.map((key) => (mode === 'give' ? undefined : lastAt.get(key)));
      await inTypeScript.check({ ...request, mode: 'give', at: at.map((each) => each?.[0]) });
      await inLua.check({ ...request, mode: 'give', at: at.map((each) => each?.[1]) });
    } else {
      const asked: LimitRequest = { ...request, mode: mode as 'take', returnable: true };
      const expected = await inTypeScript.check(asked);
      const answer = await inLua.check(asked);
      expect(answer.steps.map(seen)).toEqual(expected.steps.map(seen));
      for (const [i, key] of keys.entries()) {
        const at = [expected.steps[i]?.at, answer.steps[i]?.at] as const;
        if (mode !== 'peek' && at[0] !== undefined) lastAt.set(key, at);
      }
    }
  }
  await end();
}
