import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Clock, systemClock } from '@cachekit/core';
import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test, vi } from 'vitest';
import { concurrency, createRateLimiter, fixedWindow, gcra, memoryStore } from '../src/index.ts';

function limiter(clock: Clock = new FakeClock(), store = memoryStore()) {
  return createRateLimiter({
    policies: {
      api: gcra({ limit: 2, window: '2m' }),
      daily: fixedWindow({ limit: 5, window: '1d' }),
      slots: concurrency({ limit: 1, lease: '30s' }),
    },
    store,
    clock,
  });
}

describe('wait()', () => {
  test('ends in time, also when the time of day is set back meanwhile', async () => {
    vi.useFakeTimers();
    try {
      const limits = limiter(systemClock);
      await limits.reserve({ slots: ['u1'] });
      let allowed: boolean | undefined;
      void limits.wait({ slots: ['u1'] }, { maxWait: '10s' }).then((decision) => {
        allowed = decision.allowed;
      });
      await vi.advanceTimersByTimeAsync(1_000);
      vi.setSystemTime(Date.now() - 3_600_000);
      await vi.advanceTimersByTimeAsync(11_000);
      expect(allowed).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  test('nobody waits longer than maxWait, also behind one who waits for longer', async () => {
    const clock = new FakeClock();
    const limits = limiter(clock);
    await limits.consume({ api: ['u1'] }, { cost: 2 });
    const first = limits.wait({ api: ['u1'] }, { maxWait: '5m', cost: 2 });
    let told: boolean | undefined;
    const second = limits.wait({ api: ['u1'] }, { maxWait: '10s' }).then(({ allowed }) => {
      told = allowed;
    });
    await clock.advance(9_999);
    expect(told).toBeUndefined();
    await clock.advance(1);
    await second;
    expect(told).toBe(false);
    await clock.advance(120_000);
    expect((await first).allowed).toBe(true);
  });

  test('a cost that can never pass waits for nobody', async () => {
    const limits = limiter();
    await limits.consume({ api: ['u1'] }, { cost: 2 });
    const first = limits.wait({ api: ['u1'] }, { maxWait: '5m', signal: AbortSignal.timeout(1_000) });
    const denied = await limits.wait({ api: ['u1'] }, { maxWait: '5m', cost: 3 });
    expect(denied).toMatchObject({ allowed: false, reason: 'cost-exceeds-limit' });
    await expect(first).rejects.toThrow();
  });

  test('a wait that is aborted takes nothing, whenever that is', async () => {
    const limits = limiter();
    for (let i = 0; i < 5; i++) {
      const controller = new AbortController();
      const waiting = limits.wait({ daily: ['u1'], api: ['u1'] }, { tenant: 't', signal: controller.signal });
      controller.abort(new Error('went away'));
      await expect(waiting).rejects.toThrow('went away');
    }
    const look = () => limits.peek({ daily: ['u1'], api: ['u1'] }, { tenant: 't' });
    await expect.poll(async () => (await look()).limits.daily.remaining).toBe(5);
    expect((await look()).limits.api.remaining).toBe(2);
  });

  test('a wait that is aborted while it is asked about for the last time takes nothing', async () => {
    const clock = new FakeClock();
    const memory = memoryStore();
    let held: Promise<void> | undefined;
    const store: typeof memory = {
      ...memory,
      open: (context) => {
        const session = memory.open(context);
        return {
          ...session,
          check: async (request) => {
            if (request.mode === 'take') await held;
            return session.check(request);
          },
        };
      },
    };
    const limits = limiter(clock, store);
    await limits.consume({ api: ['u1'] }, { cost: 2 });
    const first = limits.wait({ api: ['u1'] }, { maxWait: '5m', cost: 2 });
    const controller = new AbortController();
    const second = limits.wait({ api: ['u1'] }, { maxWait: '65s', signal: controller.signal });
    const left = expect(second).rejects.toThrow('went away');
    await clock.advance(64_000);
    const answer = Promise.withResolvers<void>();
    held = answer.promise;
    await clock.advance(1_000);
    controller.abort(new Error('went away'));
    await left;
    answer.resolve();
    held = undefined;
    await clock.advance(1);
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(1);
    await clock.advance(60_000);
    expect((await first).allowed).toBe(true);
  });

  test.each(['refund', 'reset', 'cancel'] as const)(
    'who waits passes as soon as this process gives something back: %s',
    async (verb) => {
      const limits = limiter();
      const ids = { daily: ['u1'] };
      const reservation = await limits.reserve(ids, { cost: 5 });
      const waiting = limits.wait(ids, { maxWait: '2d' });
      await new Promise((resolve) => setImmediate(resolve));
      if (verb === 'refund') await limits.refund(ids);
      if (verb === 'reset') await limits.reset(ids);
      if (verb === 'cancel') await reservation.cancel();
      expect((await waiting).allowed).toBe(true);
    },
  );

  test('what another process gives back is seen after 5 s, a slot after 100 ms', async () => {
    const clock = new FakeClock();
    const store = memoryStore();
    const [here, there] = [limiter(clock, store), limiter(clock, store)];
    const slot = await there.reserve({ slots: ['t1'] });
    const waiting = here.wait({ slots: ['t1'] }, { maxWait: '10s' });
    await clock.advance(1_000);
    await slot.commit();
    await clock.advance(101);
    expect((await waiting).allowed).toBe(true);

    await there.consume({ daily: ['u1'] }, { cost: 5 });
    const later = here.wait({ daily: ['u1'] }, { maxWait: '1d' });
    await clock.advance(1_000);
    await there.refund({ daily: ['u1'] });
    await clock.advance(5_001);
    expect((await later).allowed).toBe(true);
  });

  test('a slot that nobody gives back is waited for until maxWait', async () => {
    const clock = new FakeClock();
    const limits = limiter(clock);
    await limits.reserve({ slots: ['t1'] });
    let told: boolean | undefined;
    const waiting = limits.wait({ slots: ['t1'] }, { maxWait: '10s' }).then(({ allowed }) => {
      told = allowed;
    });
    await clock.advance(9_900);
    expect(told).toBeUndefined();
    await clock.advance(200);
    await waiting;
    expect(told).toBe(false);
  });

  test('a script that has nothing else to do lives as long as it waits', async () => {
    const script = fileURLToPath(new URL('fixtures/patient.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@cachekit/source', script]);
    expect(JSON.parse(stdout)).toEqual({ allowed: true, text: 'served' });
  });
});
