import type { Duration } from '@cachekit/core';
import { ioredisExecutor } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  createRateLimiter,
  gcra,
  type OnUnavailable,
  type RateLimiter,
  redisStore,
} from '../../src/index.ts';
import { type Fault, startFaultProxy } from './fault-proxy.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

let server: Server;
const closers: (() => Promise<void>)[] = [];
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(async () => {
  for (const close of closers) await close();
  await server.stop();
});

const timeoutMs = 150;
// Two shared cores: the promise is the timeout, the rest is patience with the machine.
const marginMs = 2_000;

function limiter(
  onUnavailable: OnUnavailable = 'local',
  url: string = server.url,
  commandTimeout: Duration = 250,
  timeout: Duration = timeoutMs,
) {
  const client = new Redis(url, { lazyConnect: true });
  const redis = ioredisExecutor(client, { commandTimeout });
  closers.push(async () => {
    await redis.close();
    client.disconnect();
  });
  return createRateLimiter({
    policies: { api: gcra({ limit: 5, window: '1h' }) },
    store: redisStore({ redis }),
    onUnavailable,
    timeout,
  });
}

async function timed<T>(ask: () => Promise<T>): Promise<{ answer: T; tookMs: number }> {
  const began = performance.now();
  const answer = await ask();
  return { answer, tookMs: performance.now() - began };
}

describe('a Redis that is frozen (SIGSTOP)', () => {
  test('every check is answered within the timeout, counted in this process, and Redis counts again after SIGCONT', async () => {
    const limits = limiter();
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    await server.kill('SIGSTOP');
    try {
      const all = await Promise.all(
        Array.from({ length: 200 }, (_, i) => timed(() => limits.consume({ api: [`user ${i % 20}`] }))),
      );
      for (const { answer, tookMs } of all) {
        expect(answer.source).toBe('local');
        expect(answer.unavailable?.code).toBe('RATE_LIMIT_STORE');
        expect(tookMs).toBeLessThan(timeoutMs + marginMs);
      }
      expect(all.filter(({ answer }) => answer.allowed).length).toBe(20 * 5);
    } finally {
      await server.kill('SIGCONT');
    }
    await expect
      .poll(async () => (await limits.consume({ api: ['again'] })).source, { timeout: 10_000 })
      .toBe('redis');
  });

  test.each<[OnUnavailable, boolean]>([
    ['open', true],
    ['closed', false],
  ])('PBX-11: fail-%s by choice', async (onUnavailable, allowed) => {
    const limits = limiter(onUnavailable);
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    await server.kill('SIGSTOP');
    try {
      const { answer, tookMs } = await timed(() => limits.consume({ api: ['u1'] }));
      expect(answer).toMatchObject({ allowed, source: onUnavailable });
      expect(tookMs).toBeLessThan(timeoutMs + marginMs);
    } finally {
      await server.kill('SIGCONT');
    }
  });
});

describe('a Redis that is frozen, and a client that waits long', () => {
  test.each(['refund', 'block', 'reset'] as const)('%s rejects within the timeout', async (verb) => {
    const limits = limiter('local', server.url, '20s');
    const ids = { api: ['u1'] };
    const verbs = {
      refund: () => limits.refund(ids),
      block: () => limits.block(ids, { duration: '1h', reason: 'r' }),
      reset: () => limits.reset(ids),
    };
    await counting(limits);
    await server.kill('SIGSTOP');
    try {
      const { answer, tookMs } = await timed(() => verbs[verb]().catch((error: unknown) => error));
      expect(answer).toMatchObject({ code: 'RATE_LIMIT_STORE', timedOut: true });
      expect(tookMs).toBeLessThan(timeoutMs + marginMs);
    } finally {
      await server.kill('SIGCONT');
    }
  });
});

describe('a Redis that is gone (SIGKILL)', () => {
  test('every check is answered within the timeout, and Redis counts again when it is back', async () => {
    const limits = limiter();
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    await server.kill('SIGKILL');
    try {
      for (let round = 0; round < 5; round++) {
        const all = await Promise.all(
          Array.from({ length: 50 }, () => timed(() => limits.consume({ api: ['attacker'] }))),
        );
        for (const { answer, tookMs } of all) {
          expect(answer.source).toBe('local');
          expect(tookMs).toBeLessThan(timeoutMs + marginMs);
        }
        expect(all.filter(({ answer }) => answer.allowed).length).toBe(round === 0 ? 5 : 0);
      }
      expect((await limits.consume({ api: ['somebody else'] })).allowed).toBe(true);
    } finally {
      await server.restart();
    }
    await expect
      .poll(async () => (await limits.consume({ api: ['again'] })).source, { timeout: 15_000 })
      .toBe('redis');
  });

  test('a limiter that was made meanwhile counts here at once, and in Redis when it is there (scenario 23)', async () => {
    await server.kill('SIGKILL');
    let limits: RateLimiter<'api'>;
    try {
      limits = limiter();
      const { answer, tookMs } = await timed(() => limits.consume({ api: ['u1'] }));
      expect(answer).toMatchObject({ source: 'local', allowed: true });
      expect(tookMs).toBeLessThan(timeoutMs + marginMs);
    } finally {
      await server.restart();
    }
    await counting(limits);
  });

  test('throw: the check rejects with a typed error within the timeout', async () => {
    const limits = limiter('throw');
    await server.kill('SIGKILL');
    try {
      const { answer, tookMs } = await timed(() =>
        limits.consume({ api: ['u1'] }).catch((error: unknown) => error),
      );
      expect(answer).toMatchObject({ code: 'RATE_LIMIT_STORE', store: 'redis' });
      expect(tookMs).toBeLessThan(timeoutMs + marginMs);
    } finally {
      await server.restart();
    }
  });
});

describe('a Redis that refuses to write', () => {
  test('out of memory, or a replica: the check is counted in this process and says why (scenario 21)', async () => {
    const limits = limiter();
    const admin = new Redis(server.url);
    closers.push(async () => admin.disconnect());
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    await admin.config('SET', 'maxmemory', '1');
    const full = await limits.consume({ api: ['full'] });
    await admin.config('SET', 'maxmemory', '0');
    expect(full).toMatchObject({ allowed: true, source: 'local' });
    expect(full.unavailable?.message).toMatch(/OOM/);
    await admin.replicaof('127.0.0.1', '1');
    const readOnly = await limits.consume({ api: ['read only'] });
    await admin.replicaof('NO', 'ONE');
    expect(readOnly).toMatchObject({ allowed: true, source: 'local' });
    expect(readOnly.unavailable?.message).toMatch(/READONLY/);
  });
});

/** Until Redis counts, which may take a connection. */
async function counting(limits: RateLimiter<'api'>): Promise<void> {
  await expect
    .poll(async () => (await limits.consume({ api: [crypto.randomUUID()] })).source, { timeout: 15_000 })
    .toBe('redis');
}

// A rejection that nobody handles fails the run of vitest by itself.
describe('a connection that does harm, and leaves no rejection unhandled (scenario 24)', () => {
  test.each<[Fault, RegExp]>([
    ['slow', /./],
    ['half-open', /./],
    ['reset', /./],
    ['truncate', /./],
    ['refuse', /./],
    ['-LOADING Redis is loading the dataset in memory', /LOADING/],
    ['-MASTERDOWN Link with MASTER is down', /MASTERDOWN/],
    ['-CLUSTERDOWN The cluster is down', /CLUSTERDOWN/],
    ['-BUSY Redis is busy running a script', /BUSY/],
    ['-MISCONF Errors writing to the AOF file', /MISCONF/],
    ['-NOAUTH Authentication required.', /NOAUTH/],
  ])(
    '%s: every check is answered in time and counted here, and Redis counts again when it is over (scenario 21)',
    async (fault, message) => {
      const proxy = await startFaultProxy(server.url);
      const limits = limiter('local', proxy.url);
      try {
        await counting(limits);
        proxy.set(fault);
        const decisions = [];
        for (let i = 0; i < 12; i++) {
          const { answer, tookMs } = await timed(() => limits.consume({ api: [`${fault}${i % 2}`] }));
          expect(tookMs).toBeLessThan(timeoutMs + marginMs);
          decisions.push(answer);
        }
        const failed = decisions.filter(({ unavailable }) => unavailable !== undefined);
        expect(failed.length).toBeGreaterThan(0);
        expect(failed.every(({ source }) => source === 'local')).toBe(true);
        expect(failed[0]?.unavailable?.message).toMatch(message);
        proxy.set('none');
        await counting(limits);
      } finally {
        proxy.set('none');
        await proxy.close();
      }
    },
  );
});

describe('a reservation that Redis could not correct', () => {
  test.each<Fault>(['refuse', '-MISCONF Errors writing to the AOF file'])(
    '%s: is corrected by the same commit() when Redis counts again, and only once',
    async (fault) => {
      const proxy = await startFaultProxy(server.url);
      const limits = limiter('throw', proxy.url, '5s', '5s');
      const ids = { api: [crypto.randomUUID()] };
      const left = async () => (await limits.peek(ids)).limits.api.remaining;
      try {
        const reservation = await limits.reserve(ids, { cost: 4 });
        proxy.set(fault);
        await expect(reservation.commit(1)).rejects.toMatchObject({ code: 'RATE_LIMIT_STORE' });
        proxy.set('none');
        // One that is given up while the connection opens may be carried out, and would be done twice.
        await vi.waitFor(left, { timeout: 15_000 });
        await reservation.commit(1);
        expect(await left()).toBe(4);
        await reservation.cancel();
        expect(await left()).toBe(4);
      } finally {
        proxy.set('none');
        await proxy.close();
      }
    },
  );
});

describe('a Redis that is frozen under load', () => {
  test('after the breaker opened every check is answered at once, and nothing of then is counted afterwards (scenario 19)', async () => {
    const limits = limiter();
    const witness = limiter();
    await counting(limits);
    await counting(witness);
    await server.kill('SIGSTOP');
    const ids = Array.from({ length: 50 }, (_, i) => `frozen ${i}`);
    try {
      for (let round = 0; round < 4; round++) {
        await Promise.all(ids.map((id) => limits.consume({ api: [id] })));
      }
      const times: number[] = [];
      for (let i = 0; i < 500; i++) {
        const { tookMs } = await timed(() => limits.consume({ api: [`later ${i % 7}`] }));
        times.push(tookMs);
      }
      times.sort((a, b) => a - b);
      // The slowest may have met something else on this machine.
      expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(5);
      expect(limits.metrics().available).toBe(false);
    } finally {
      await server.kill('SIGCONT');
    }
    await counting(limits);
    await counting(witness);
    expect(limits.metrics().available).toBe(true);
    const looks = await Promise.all(ids.map((id) => witness.peek({ api: [id] })));
    expect(looks.map(({ limits: { api } }) => api.remaining)).toEqual(ids.map(() => 5));
  });

  test('an attack while Redis is away gets no more than what one process lets pass, and others are served (scenario 20)', async () => {
    const limits = limiter();
    await counting(limits);
    await server.kill('SIGKILL');
    try {
      const all = await Promise.all(
        Array.from({ length: 2_000 }, () => limits.consume({ api: ['attacker'] })),
      );
      expect(all.filter(({ allowed }) => allowed).length).toBe(5);
      expect((await limits.consume({ api: ['login of somebody else'] })).allowed).toBe(true);
    } finally {
      await server.restart();
    }
    await counting(limits);
  });

  test('a restart or FLUSHALL begins every limit anew (scenario 22)', async () => {
    const limits = limiter();
    await counting(limits);
    const admin = new Redis(server.url);
    closers.push(async () => admin.disconnect());
    await limits.consume({ api: ['u1'] }, { cost: 5 });
    await admin.flushall();
    await admin.script('FLUSH');
    expect(await limits.consume({ api: ['u1'] })).toMatchObject({ allowed: true, source: 'redis' });

    // What was denied before is not known any more when Redis is back.
    await limits.consume({ api: ['u2'] }, { cost: 5 });
    expect((await limits.consume({ api: ['u2'] })).allowed).toBe(false);
    let isBack = false;
    limits.on('available', () => {
      isBack = true;
    });
    await server.kill('SIGKILL');
    await Promise.all(Array.from({ length: 10 }, (_, i) => limits.consume({ api: [`other ${i}`] })));
    await server.restart();
    await expect
      .poll(async () => (await limits.consume({ api: ['other'] })) && isBack, { timeout: 20_000 })
      .toBe(true);
    expect(await limits.consume({ api: ['u2'] })).toMatchObject({ allowed: true, source: 'redis' });
  });
});
