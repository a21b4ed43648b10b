import { uniqueNamespace } from '@cachekit/services/vitest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  concurrency,
  createRateLimiter,
  fixedWindow,
  gcra,
  type LimitStore,
  quota,
  type RateLimiterOptions,
  slidingWindow,
} from '../../src/index.ts';

/** What the suite has to know of a store. */
export interface StoreUnderTest {
  /** A new store over the same data; asked for again, it is another process. */
  store(namespace: string): LimitStore;
  /** Keys in Redis with their time to live; absent where there is no Redis. */
  ttls?(namespace: string): Promise<ReadonlyMap<string, number>>;
}

const policies = {
  user: gcra({ limit: 3, window: '1m' }),
  thirds: gcra({ limit: 7, window: '1m' }),
  commands: fixedWindow({ limit: 10, window: '60s' }),
  // Long, so that no test meets the end of one.
  epoch: fixedWindow({ limit: 10, window: '300d', anchor: 'epoch' }),
  strict: slidingWindow({ limit: 5, window: '1m' }),
  plan: quota({ limit: 6, per: 'month', timeZone: 'America/Sao_Paulo' }),
  slots: concurrency({ limit: 2, lease: '1m' }),
};
type Name = keyof typeof policies;
const names = Object.keys(policies) as Name[];

/** The promises of a store, whatever it is; every store passes the same tests. */
export function storeSuite(title: string, open: () => StoreUnderTest): void {
  describe(title, () => {
    const fresh = (options: Partial<RateLimiterOptions<Name>> = {}, namespace = uniqueNamespace()) => {
      const { store } = open();
      return createRateLimiter({
        policies,
        store: store(namespace),
        timeout: '10s',
        onUnavailable: 'throw',
        ...options,
      });
    };

    test.each(names)('%s: lets exactly its limit pass, and says how it stands', async (name) => {
      const limits = fresh();
      const { limit } = policies[name];
      for (let i = 0; i < limit; i++) {
        const decision = await limits.consume({ [name]: ['u1'] } as never);
        expect(decision).toMatchObject({ allowed: true, violated: [], retryAfterMs: 0, atomic: true });
        expect(decision.limits[name]).toMatchObject({ limit, remaining: limit - i - 1 });
      }
      const denied = await limits.consume({ [name]: ['u1'] } as never);
      expect(denied).toMatchObject({ allowed: false, violated: [name], reason: 'limit' });
      expect(denied.retryAfterMs).toBeGreaterThan(0);
      expect((await limits.consume({ [name]: ['u2'] } as never)).allowed).toBe(true);
    });

    test.each(names)(
      '%s: a request that is denied takes nothing, whatever it costs (scenario 7)',
      async (name) => {
        const limits = fresh();
        const { limit } = policies[name];
        await limits.consume({ [name]: ['u1'] } as never, { cost: limit - 1 });
        for (const cost of [2, limit, limit + 1, 1_000_000]) {
          expect((await limits.consume({ [name]: ['u1'] } as never, { cost })).allowed).toBe(false);
        }
        expect((await limits.consume({ [name]: ['u1'] } as never)).allowed).toBe(true);
      },
    );

    test.each(names)(
      '%s: a cost above the limit can never pass, is told so and leaves no trace (scenario 8)',
      async (name) => {
        const limits = fresh();
        const ask = () => limits.consume({ [name]: ['u1'] } as never, { cost: policies[name].limit + 1 });
        expect(await ask()).toMatchObject({
          allowed: false,
          retryAfterMs: Number.POSITIVE_INFINITY,
          reason: 'cost-exceeds-limit',
        });
        const { allowed, source } = await limits.consume({ [name]: ['u1'] } as never, {
          cost: policies[name].limit,
        });
        expect(allowed).toBe(true);
        expect(source).not.toBe('deny-cache');
      },
    );

    test.each(names)('%s: a refund of too much gives exactly the limit back (scenario 12)', async (name) => {
      const limits = fresh();
      const { limit } = policies[name];
      const ids = { [name]: ['u1'] } as never;
      await limits.refund(ids, { cost: 1_000 });
      await limits.consume(ids, { cost: limit });
      await limits.refund(ids, { cost: 2 });
      expect((await limits.consume(ids, { cost: 2 })).allowed).toBe(true);
      await limits.refund(ids, { cost: 1_000 });
      expect((await limits.consume(ids, { cost: limit })).allowed).toBe(true);
      expect((await limits.consume(ids)).allowed).toBe(false);
    });

    test.each(names)('%s: a look takes nothing and says what would be', async (name) => {
      const limits = fresh();
      const { limit } = policies[name];
      const ids = { [name]: ['u1'] } as never;
      for (let i = 0; i < 3; i++) {
        expect(await limits.peek(ids, { cost: limit })).toMatchObject({
          allowed: true,
          limits: { [name]: { remaining: limit } },
        });
      }
      await limits.consume(ids);
      const look = await limits.peek(ids, { cost: limit });
      expect(look).toMatchObject({ allowed: false, limits: { [name]: { remaining: limit - 1 } } });
      expect((await limits.consume(ids, { cost: limit - 1 })).allowed).toBe(true);
    });

    test.each(names)('%s: a blocked key is denied with its reason, until it is reset', async (name) => {
      const limits = fresh();
      const ids = { [name]: ['u1'] } as never;
      await limits.block(ids, { duration: '1h', reason: 'abuse: 50 % "spam"!' });
      const denied = await limits.consume(ids);
      expect(denied).toMatchObject({
        allowed: false,
        reason: 'blocked',
        limits: { [name]: { blocked: 'abuse: 50 % "spam"!', remaining: 0 } },
      });
      expect(denied.retryAfterMs).toBeGreaterThan(3_590_000);
      expect(denied.retryAfterMs).toBeLessThanOrEqual(3_600_000);
      await limits.refund(ids, { cost: 1 });
      if (name !== 'user' && name !== 'thirds') expect((await limits.consume(ids)).allowed).toBe(false);
      await limits.reset(ids);
      expect(await limits.consume(ids, { cost: policies[name].limit })).toMatchObject({ allowed: true });
    });

    test.each(names)(
      '%s: reset() forgets that id and no other, however it reads (scenario 14)',
      async (name) => {
        const limits = fresh();
        const of = (id: string) => ({ [name]: [id] }) as never;
        const others = ['u1', 'u', '1', 'u[1]x'];
        const patterns = ['*', 'u*', 'u?', 'u[1]', '[a-z]*', '\\*'];
        const { limit } = policies[name];
        for (const id of [...others, ...patterns]) await limits.consume(of(id), { cost: limit });
        for (const id of patterns) await limits.reset(of(id));
        for (const id of others) expect((await limits.peek(of(id))).allowed, id).toBe(false);
        for (const id of patterns) expect((await limits.peek(of(id))).allowed, id).toBe(true);
      },
    );

    test('a shorter block does not end a longer one', async () => {
      const limits = fresh();
      await limits.block({ commands: ['u1'] }, { duration: '1h', reason: 'long' });
      await limits.block({ commands: ['u1'] }, { duration: 1, reason: 'short' });
      expect((await limits.peek({ commands: ['u1'] })).retryAfterMs).toBeGreaterThan(3_000_000);
    });

    test('what was counted is still there when a block of a window is over', async () => {
      const limits = fresh();
      await limits.consume({ commands: ['u1'], strict: ['u1'], plan: ['u1'] }, { tenant: 't', cost: 5 });
      await limits.block(
        { commands: ['u1'], strict: ['u1'], plan: ['u1'] },
        { tenant: 't', duration: 30, reason: 'r' },
      );
      await expect
        .poll(
          async () => (await limits.peek({ commands: ['u1'] }, { tenant: 't' })).limits.commands.remaining,
        )
        .toBe(5);
      const left = await limits.peek({ strict: ['u1'], plan: ['u1'] }, { tenant: 't' });
      expect(left.limits).toMatchObject({ strict: { remaining: 0 }, plan: { remaining: 1 } });
    });

    test('takes from all policies or from none: a noisy user never drains the tenant (scenario 11)', async () => {
      for (const order of [
        ['user', 'strict', 'commands'],
        ['commands', 'user', 'strict'],
      ] as const) {
        const limits = fresh();
        const ask = (user: string) =>
          limits.consume(
            Object.fromEntries(order.map((name) => [name, name === 'commands' ? [] : [user]])) as never,
            { tenant: 'acme' },
          );
        for (let i = 0; i < 20; i++) await ask('noisy');
        expect(await ask('noisy')).toMatchObject({ allowed: false, violated: ['user'] });
        for (let i = 0; i < 7; i++) expect((await ask(`quiet ${i}`)).allowed).toBe(true);
        expect(await ask('one too many')).toMatchObject({ allowed: false, violated: ['commands'] });
      }
    });

    test('limits of a call are those of a plan: the same key, another limit, nothing to migrate', async () => {
      for (const name of names) {
        const limits = fresh();
        const ids = { [name]: ['u1'] } as never;
        const { limit, algorithm } = policies[name];
        const taken = algorithm.name === 'gcra' ? limit - 1 : limit;
        await limits.consume(ids, { cost: taken });
        expect((await limits.consume(ids, { cost: limit })).allowed).toBe(false);
        const paid = await limits.consume(ids, { limits: { [name]: 2 * limit } });
        // A bucket keeps the share of it that was taken, everything else the tokens.
        expect(paid, name).toMatchObject({ allowed: true, limits: { [name]: { limit: 2 * limit } } });
        if (algorithm.name !== 'gcra') expect(paid.limits[name]).toMatchObject({ remaining: limit - 1 });
      }
    });

    test('a shadow policy counts and tells, and keeps nobody from anything', async () => {
      const limits = createRateLimiter({
        policies: {
          real: gcra({ limit: 4, window: '1m' }),
          trial: fixedWindow({ limit: 2, window: '1m', shadow: true }),
        },
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      const decisions = [];
      for (let i = 0; i < 5; i++) {
        decisions.push(await limits.consume({ real: ['u1'], trial: ['u1'] }, { tenant: 't' }));
      }
      expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, true, false]);
      expect(decisions.map(({ shadowed }) => shadowed.length)).toEqual([0, 0, 1, 1, 1]);
      expect(decisions[4]?.violated).toEqual(['real']);
      const alone = await limits.consume({ trial: ['u1'] }, { tenant: 't' });
      expect(alone).toMatchObject({
        allowed: true,
        shadowed: ['trial'],
        limits: { trial: { remaining: 0 } },
      });
      expect(limits.metrics().policies).toMatchObject({
        real: { allowed: 4, denied: 1, shadowed: 0 },
        trial: { allowed: 5, denied: 0, shadowed: 4 },
      });
    });

    test('reserve: the estimate is taken, commit() corrects it and cancel() gives it back', async () => {
      const limits = fresh();
      const left = async () => (await limits.peek({ commands: ['u1'] })).limits.commands.remaining;
      const first = await limits.reserve({ commands: ['u1'] }, { cost: 6 });
      expect(first.decision.allowed).toBe(true);
      expect(await left()).toBe(4);
      await first.commit(2);
      expect(await left()).toBe(8);
      await first.commit(1);
      await first.cancel();
      expect(await left()).toBe(8);
      const second = await limits.reserve({ commands: ['u1'] }, { cost: 8 });
      await second.cancel();
      expect(await left()).toBe(8);
    });

    test.each(['user', 'commands', 'epoch', 'strict', 'plan'] as const)(
      'reserve: what the true cost is above the estimate is charged, also beyond the limit (%s)',
      async (name) => {
        const limits = fresh();
        const { limit } = policies[name];
        const ids = { [name]: ['u1'] } as never;
        const reservation = await limits.reserve(ids, { cost: 1 });
        await reservation.commit(limit + 2);
        const after = await limits.peek(ids);
        expect(after).toMatchObject({ allowed: false, limits: { [name]: { remaining: 0 } } });
        await limits.refund(ids, { cost: 2 });
        expect((await limits.consume(ids)).allowed).toBe(false);
        await limits.refund(ids, { cost: 1 });
        expect((await limits.consume(ids)).allowed).toBe(true);
      },
    );

    test('reserve: a reservation that was denied holds nothing, and settling it does nothing', async () => {
      const limits = fresh();
      await limits.consume({ user: ['u1'] }, { cost: 3 });
      const denied = await limits.reserve({ user: ['u1'], commands: ['d1'] }, { tenant: 't', cost: 4 });
      expect(denied.decision).toMatchObject({ allowed: false });
      await denied.commit(4);
      await denied.cancel();
      expect((await limits.peek({ commands: ['d1'] }, { tenant: 't' })).limits.commands.remaining).toBe(10);
    });

    test('slots are given back one by one, by whoever took them, and only once', async () => {
      const limits = fresh();
      const [a, b] = [await limits.reserve({ slots: ['t1'] }), await limits.reserve({ slots: ['t1'] })];
      expect((await limits.reserve({ slots: ['t1'] })).decision.allowed).toBe(false);
      await a.commit();
      await a.commit();
      expect((await limits.reserve({ slots: ['t1'] })).decision.allowed).toBe(true);
      expect((await limits.reserve({ slots: ['t1'] })).decision.allowed).toBe(false);
      await b.cancel();
      expect((await limits.reserve({ slots: ['t1'] })).decision.allowed).toBe(true);
    });

    test('a slot that another process gives back is free here at once', async () => {
      const namespace = uniqueNamespace();
      const [here, there] = [fresh({}, namespace), fresh({}, namespace)];
      const held = await there.reserve({ slots: ['t1'] }, { cost: 2 });
      expect((await here.reserve({ slots: ['t1'] })).decision.allowed).toBe(false);
      await held.commit();
      expect((await here.reserve({ slots: ['t1'] })).decision.allowed).toBe(true);
    });

    test('a slot whose holder died is free again after its lease', async () => {
      const limits = createRateLimiter({
        policies: { slots: concurrency({ limit: 1, lease: 40 }) },
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      await limits.reserve({ slots: ['t1'] });
      await expect.poll(async () => (await limits.reserve({ slots: ['t1'] })).decision.allowed).toBe(true);
    });

    test('wait: they pass in the order in which they came, each as soon as it can', async () => {
      const limits = createRateLimiter({
        policies: { api: gcra({ limit: 1, window: 30 }) },
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      const order: number[] = [];
      const decisions = await Promise.all(
        Array.from({ length: 6 }, async (_, i) => {
          const decision = await limits.wait({ api: ['u1'] });
          order.push(i);
          return decision.allowed;
        }),
      );
      expect(order).toEqual([0, 1, 2, 3, 4, 5]);
      expect(decisions).toEqual(Array(6).fill(true));
    });

    test('wait: a wait that would be too long is denied at once, and an aborted one leaves the line', async () => {
      const limits = fresh();
      await limits.consume({ user: ['u1'] }, { cost: 3 });
      expect(await limits.wait({ user: ['u1'] }, { maxWait: '5s' })).toMatchObject({ allowed: false });
      const controller = new AbortController();
      const waiting = limits.wait({ user: ['u1'] }, { signal: controller.signal });
      controller.abort(new Error('went away'));
      await expect(waiting).rejects.toThrow('went away');
      await expect(limits.wait({ user: ['u1'] }, { signal: controller.signal })).rejects.toThrow('went away');
    });

    test('steady traffic never prolongs a window (scenario 2)', async () => {
      const limits = createRateLimiter({
        policies: { window: fixedWindow({ limit: 10, window: 120 }) },
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      const denied: number[] = [];
      for (let i = 0; i < 25; i++) {
        if (!(await limits.consume({ window: ['u1'] })).allowed) denied.push(i);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(denied).toEqual([]);
    });

    test('steady traffic at exactly the limit passes in every window (scenario 3)', async () => {
      const limits = createRateLimiter({
        policies: { bucket: gcra({ limit: 8, window: 120 }), window: fixedWindow({ limit: 8, window: 100 }) },
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      const denied: string[] = [];
      for (let i = 0; i < 30; i++) {
        for (const name of ['bucket', 'window'] as const) {
          const { allowed } = await limits.consume({ [name]: ['u1'] } as never);
          if (!allowed) denied.push(`${name} ${i}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 16));
      }
      expect(denied).toEqual([]);
    });

    test('waiting exactly retryAfterMs lets the same request pass, for every algorithm and cost (scenario 6)', async () => {
      const quick = {
        bucket: gcra({ limit: 3, window: 90 }),
        window: fixedWindow({ limit: 2, window: 60 }),
        epoch: fixedWindow({ limit: 2, window: 70, anchor: 'epoch' }),
        sliding: slidingWindow({ limit: 3, window: 60 }),
        slots: concurrency({ limit: 3, lease: 60 }),
      };
      const limits = createRateLimiter({
        policies: quick,
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      const wrong: string[] = [];
      await Promise.all(
        (Object.keys(quick) as (keyof typeof quick)[]).flatMap((name) =>
          [1, 2].map(async (cost) => {
            const ask = () => limits.consume({ [name]: [`cost ${cost}`] } as never, { cost });
            for (let waits = 0; waits < 3; ) {
              const decision = await ask();
              if (decision.allowed) continue;
              const end = performance.now() + decision.retryAfterMs;
              while (performance.now() < end) {
                await new Promise((resolve) => setTimeout(resolve, Math.max(1, end - performance.now())));
              }
              if (!(await ask()).allowed) wrong.push(`${name}, cost ${cost}`);
              waits++;
            }
          }),
        ),
      );
      expect(wrong).toEqual([]);
    });

    test('never more than the limit in any window, however the requests come (scenario 4)', async () => {
      const windowMs = 80;
      const limits = createRateLimiter({
        policies: { strict: slidingWindow({ limit: 5, window: windowMs }) },
        store: open().store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      const passed: { began: number; ended: number }[] = [];
      while (passed.length < 22) {
        const began = performance.now();
        const { allowed } = await limits.consume({ strict: ['u1'] });
        if (allowed) passed.push({ began, ended: performance.now() });
        if (passed.length % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 13));
      }
      // Each was counted somewhere between its begin and its end, in whole milliseconds.
      for (let i = 5; i < passed.length; i++) {
        const first = passed[i - 5] as (typeof passed)[number];
        const last = passed[i] as (typeof passed)[number];
        expect(last.ended - first.began).toBeGreaterThan(windowMs - 1);
      }
    });

    test('a clock of this process that is minutes off, or stands still, decides like any other (scenario 10)', async () => {
      const { store, ttls } = open();
      if (ttls === undefined) return;
      const namespace = uniqueNamespace();
      for (const offsetMs of [-300_000, 300_000, Number.NaN]) {
        const now = Number.isNaN(offsetMs) ? () => 1_000 : () => Date.now() + offsetMs;
        const limits = createRateLimiter({
          policies,
          store: store(namespace),
          timeout: '10s',
          onUnavailable: 'throw',
          clock: {
            now,
            setTimeout: (run, ms) => setTimeout(run, ms),
            clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
          },
        });
        for (const name of names) {
          const { limit } = policies[name];
          const ids = { [name]: [`${offsetMs}`] } as never;
          expect((await limits.consume(ids, { cost: limit })).allowed, name).toBe(true);
          expect((await fresh({}, namespace).consume(ids)).allowed, name).toBe(false);
        }
      }
    });

    test('after any sequence of calls no key is without an end (scenario 1)', async () => {
      const { ttls } = open();
      if (ttls === undefined) return;
      const verbs = ['consume', 'peek', 'refund', 'reserve', 'block', 'reset'] as const;
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              verb: fc.constantFrom(...verbs),
              asked: fc.subarray(names, { minLength: 1 }),
              id: fc.constantFrom('a', 'b'),
              cost: fc.integer({ min: 1, max: 12 }),
            }),
            { minLength: 1, maxLength: 20 },
          ),
          async (calls) => {
            const namespace = uniqueNamespace();
            const limits = fresh({}, namespace);
            for (const { verb, asked, id, cost } of calls) {
              const ids = Object.fromEntries(asked.map((name) => [name, [id]])) as Record<Name, string[]>;
              if (verb === 'block')
                await limits.block(ids, { tenant: 't', duration: cost * 1_000, reason: 'r' });
              else if (verb === 'reset') await limits.reset(ids, { tenant: 't' });
              else if (verb === 'reserve') {
                const reservation = await limits.reserve(ids, { tenant: 't', cost });
                await reservation.commit(13 - cost);
              } else await limits[verb](ids, { tenant: 't', cost });
            }
            for (const [key, ttl] of await ttls(namespace)) {
              expect(ttl, key).toBeGreaterThan(0);
              expect(ttl, key).toBeLessThanOrEqual(300 * 86_400_000);
              expect(key.length).toBeLessThanOrEqual(200);
            }
          },
        ),
        { numRuns: process.env.CACHEKIT_LONG ? 200 : 15 },
      );
    });

    test('1,000 requests at once by four limiters, many in the same millisecond, let exactly the limit pass (scenario 18)', async () => {
      const namespace = uniqueNamespace();
      const { store } = open();
      const limiters = Array.from({ length: 4 }, () =>
        createRateLimiter({ policies, store: store(namespace), timeout: '10s', onUnavailable: 'throw' }),
      );
      for (const name of ['commands', 'strict', 'plan', 'slots'] as const) {
        const decisions = await Promise.all(
          Array.from({ length: 1_000 }, (_, i) => limiters[i % 4]?.consume({ [name]: ['hot'] } as never)),
        );
        expect(decisions.filter((decision) => decision?.allowed).length, name).toBe(policies[name].limit);
      }
    });
  });
}
