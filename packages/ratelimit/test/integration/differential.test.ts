import { FakeClock } from '@cachekit/core/testing';
import { uniqueNamespace } from '@cachekit/services/vitest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRateLimiter, fixedWindow, gcra, memoryStore, redisStore } from '../../src/index.ts';
import { connect } from './connection.ts';
import { virtualTime } from './virtual-time.ts';

const { redis } = connect();

const rules = fc.oneof(
  fc.record({ limit: fc.integer({ min: 1, max: 9 }), window: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ limit: fc.integer({ min: 1, max: 5_000 }), window: fc.integer({ min: 1, max: 100_000 }) }),
  fc.record({ limit: fc.integer({ min: 60_000, max: 71_209 }), window: fc.constant(366 * 86_400_000) }),
);
const share = fc.double({ min: 0, max: 1.2, noNaN: true });
const calls = fc.array(
  fc.record({
    names: fc.subarray(['a', 'b', 'c'] as const, { minLength: 1 }),
    id: fc.constantFrom('x', 'y'),
    cost: share,
    gap: share,
  }),
  { minLength: 1, maxLength: 40 },
);

describe('the Lua and the TypeScript of each algorithm', () => {
  test('give the same decisions to the same requests, over several policies and any time', async () => {
    await fc.assert(
      fc.asyncProperty(rules, rules, rules, calls, async (a, b, c, requests) => {
        const clock = new FakeClock();
        const namespace = uniqueNamespace();
        const policies = { a: gcra(a), b: fixedWindow(b), c: gcra(c) };
        const inTypeScript = createRateLimiter({ policies, store: memoryStore(), clock });
        const inLua = createRateLimiter({
          policies,
          store: redisStore({ redis: virtualTime(redis, `${namespace}:hash`, () => clock.now()), namespace }),
          timeout: '10s',
          onUnavailable: 'throw',
        });
        for (const { names, id, cost, gap } of requests) {
          await clock.advance(Math.floor(gap ** 3 * policies[names[0] ?? 'a'].windowMs));
          const ids = Object.fromEntries(names.map((name) => [name, [id]])) as Record<
            'a' | 'b' | 'c',
            string[]
          >;
          const options = { cost: Math.max(1, Math.round(cost ** 3 * policies[names.at(-1) ?? 'a'].limit)) };
          const [expected, decision] = await Promise.all([
            inTypeScript.consume(ids, options),
            inLua.consume(ids, options),
          ]);
          expect(decision).toEqual({ ...expected, source: 'redis' });
        }
        await redis.command('DEL', `${namespace}:hash`);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test('still agree when a limit or a window is changed while its keys live', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rules, { minLength: 2, maxLength: 4 }),
        fc.constantFrom('gcra', 'fixedWindow'),
        calls,
        async (variants, algorithm, requests) => {
          const clock = new FakeClock();
          const namespace = uniqueNamespace();
          const memory = memoryStore();
          const store = redisStore({
            redis: virtualTime(redis, `${namespace}:hash`, () => clock.now()),
            namespace,
          });
          const limiters = variants.map((rule) => {
            const policies = { a: algorithm === 'gcra' ? gcra(rule) : fixedWindow(rule) };
            return {
              rule,
              inTypeScript: createRateLimiter({ policies, store: memory, clock }),
              inLua: createRateLimiter({ policies, store, timeout: '10s', onUnavailable: 'throw' }),
            };
          });
          for (const [i, { id, cost, gap }] of requests.entries()) {
            const { rule, inTypeScript, inLua } = limiters[i % limiters.length] as (typeof limiters)[number];
            await clock.advance(Math.floor(gap ** 3 * rule.window));
            const options = { cost: Math.max(1, Math.round(cost ** 3 * rule.limit)) };
            const [expected, decision] = await Promise.all([
              inTypeScript.consume({ a: [id] }, options),
              inLua.consume({ a: [id] }, options),
            ]);
            expect(decision).toEqual({ ...expected, source: 'redis' });
          }
          await redis.command('DEL', `${namespace}:hash`);
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);
});
