import type { RedisExecutor } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ioredisExecutor } from '../../src/index.ts';
import { ioredis, observe } from './clients.ts';
import { eventually } from './eventually.ts';

/** The timeout of the executors here, and what a call may take beyond it on a machine that is busy. */
const timeoutMs = 500;
const ceilingMs = timeoutMs + 2_000;

type Server = Awaited<ReturnType<typeof startRedis>>;

const rejections: unknown[] = [];
const note = (reason: unknown): void => {
  rejections.push(reason);
};

beforeAll(() => {
  process.on('unhandledRejection', note);
});
afterAll(() => {
  process.off('unhandledRejection', note);
  expect(rejections).toEqual([]);
});

describe.each(ioredis)('faults over $name', ({ standalone }) => {
  let server: Server;
  let redis: RedisExecutor;

  beforeAll(async () => {
    server = await startRedis({ own: true });
  });
  afterEach(async () => {
    await redis.close();
    await server.restart();
  });
  afterAll(() => server.stop());

  it('Redis absent at start: calls reject within the timeout, later ones at once, and it recovers by itself (RC-1)', async () => {
    await server.kill('SIGKILL');
    redis = ioredisExecutor(standalone(server.url), { commandTimeout: timeoutMs });
    const first = await outcome(redis.command('PING'));
    expect(first.tookMs).toBeLessThan(ceilingMs);
    expect(first.error).toMatchObject({ code: 'REDIS_UNAVAILABLE', sent: false });
    expect(String(first.error)).toContain('ECONNREFUSED');
    const start = performance.now();
    for (let call = 0; call < 40; call++) {
      expect((await outcome(redis.command('PING'))).error).toMatchObject({ sent: false });
    }
    expect(performance.now() - start).toBeLessThan((40 * timeoutMs) / 2);
    await server.restart();
    await eventually(() => works(redis)).toBe(true);
  });

  it('Redis stopped (SIGSTOP): calls reject within the timeout, then at once, and it recovers by itself', async () => {
    redis = ioredisExecutor(standalone(server.url), { commandTimeout: timeoutMs });
    expect(await redis.command('PING')).toBe('PONG');
    await server.kill('SIGSTOP');
    try {
      const calls = await Promise.all([
        outcome(redis.command('GET', 'a')),
        outcome(redis.script({ name: 'one', lua: 'return 1' }, ['a'], [])),
        outcome(collect(redis.scan('a'))),
      ]);
      for (const { tookMs, error } of calls) {
        expect(tookMs).toBeLessThan(ceilingMs);
        expect(error).toMatchObject({ code: 'REDIS_UNAVAILABLE', sent: true });
      }
      // The connection owes replies and says nothing: it is given up, and the next one never becomes ready.
      const failsAtOnce = async (): Promise<boolean> => {
        const { error, tookMs } = await outcome(redis.command('GET', 'a'));
        return (error as { sent?: boolean }).sent === false && tookMs < timeoutMs / 2;
      };
      await eventually(failsAtOnce).toBe(true);
    } finally {
      await server.kill('SIGCONT');
    }
    await eventually(() => works(redis)).toBe(true);
  });

  it('Redis killed and restarted under load: every call settles in time, and it recovers by itself', async () => {
    redis = ioredisExecutor(standalone(server.url), { commandTimeout: timeoutMs });
    let running = true;
    let slowestMs = 0;
    let failed = 0;
    const load = async (): Promise<void> => {
      while (running) {
        const { tookMs, error } = await outcome(redis.command('INCR', 'n'));
        slowestMs = Math.max(slowestMs, tookMs);
        if (error !== undefined) {
          failed++;
          expect(error).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const loads = Array.from({ length: 8 }, load);
    await eventually(() => works(redis)).toBe(true);
    await server.kill('SIGKILL');
    await eventually(() => failed).toBeGreaterThan(8);
    await server.restart();
    await eventually(() => works(redis)).toBe(true);
    running = false;
    await Promise.all(loads);
    expect(slowestMs).toBeLessThan(ceilingMs);
  });

  it('a write that was rejected while there was no connection never arrives', async () => {
    redis = ioredisExecutor(standalone(server.url), { commandTimeout: timeoutMs });
    await redis.command('SET', 'k', 'old');
    await server.kill('SIGKILL');
    const late = await outcome(redis.command('SET', 'k', 'late'));
    expect(late.error).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    const later = await outcome(redis.command('SET', 'k', 'later'));
    expect(later.error).toMatchObject({ sent: false });
    await server.restart();
    const observer = observe(server.url);
    try {
      await eventually(() => works(redis)).toBe(true);
      expect(await observer.get('k')).toBeNull();
    } finally {
      observer.disconnect();
    }
  });

  it('a blocked event loop is not taken for a Redis that does not answer', async () => {
    redis = ioredisExecutor(standalone(server.url), { commandTimeout: timeoutMs });
    await redis.command('PING');
    const call = redis.command('PING');
    const end = performance.now() + 2 * timeoutMs;
    while (performance.now() < end);
    expect(await call).toBe('PONG');
  });

  it('the settings of the client do not change what a caller waits', async () => {
    await server.kill('SIGKILL');
    const client = standalone(server.url) as unknown as { options: Record<string, unknown> };
    Object.assign(client.options, {
      maxRetriesPerRequest: null,
      enableOfflineQueue: true,
      commandTimeout: 60_000,
      retryStrategy: () => null,
    });
    redis = ioredisExecutor(client as never, { commandTimeout: timeoutMs });
    expect((await outcome(redis.command('PING'))).tookMs).toBeLessThan(ceilingMs);
    await server.restart();
    await eventually(() => works(redis)).toBe(true);
  });
});

async function outcome(work: Promise<unknown>): Promise<{ tookMs: number; error?: unknown }> {
  const start = performance.now();
  try {
    await work;
    return { tookMs: performance.now() - start };
  } catch (error) {
    return { tookMs: performance.now() - start, error };
  }
}

async function works(redis: RedisExecutor): Promise<boolean> {
  return (await outcome(redis.command('PING'))).error === undefined;
}

async function collect(pages: AsyncIterable<readonly string[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}
