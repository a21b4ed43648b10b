import { readFileSync } from 'node:fs';
import { ioredisExecutor } from '@cachekit/redis';
import { redisUser, startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  concurrency,
  createRateLimiter,
  fixedWindow,
  gcra,
  quota,
  redisStore,
  slidingWindow,
} from '../../src/index.ts';

const page = readFileSync(new URL('../../../../docs/redis-acl.md', import.meta.url), 'utf8');
const rights = (page.split('## Rate limits\n')[1]?.match(/```\n([^`]+)```/)?.[1] ?? '').trim().split(/\s+/);

/** Only where a limit goes on counting what stood there before. */
const seldom = ['+pexpire', '+pttl'];

let server: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** What a user with these rights met who limits requests. */
async function refusedTo(rules: readonly string[]): Promise<readonly string[]> {
  const user = await redisUser(server.url, rules);
  const client = new Redis(user.url, { lazyConnect: true });
  const redis = ioredisExecutor(client, { commandTimeout: '5s' });
  try {
    const limiter = createRateLimiter({
      policies: {
        gcra: gcra({ limit: 60, window: '1m' }),
        fixed: fixedWindow({ limit: 10, window: '60s' }),
        sliding: slidingWindow({ limit: 10, window: '60s' }),
        quota: quota({ limit: 10, per: 'day' }),
        slots: concurrency({ limit: 2, lease: '10s' }),
      },
      store: redisStore({ redis }),
      timeout: '10s',
      onUnavailable: 'throw',
    });
    const checks = { gcra: ['a'], fixed: ['a'], sliding: ['a'], quota: ['a'] };
    for (let call = 0; call < 12; call++) await limiter.consume(checks);
    await limiter.peek(checks);
    const slot = await limiter.reserve({ slots: ['a'] });
    await slot.cancel();
    await limiter.block({ gcra: ['b'] }, { duration: '1m', reason: 'test' });
    await limiter.reset({ gcra: ['b'] });
    return await user.refused();
  } catch (error) {
    return [...(await user.refused()), String(error)];
  } finally {
    await redis.close();
    client.disconnect();
    await user.close();
  }
}

describe('a Redis user', () => {
  it('limits requests with exactly the rights that the page on permissions names', async () => {
    expect(await refusedTo(rights)).toEqual([]);
  });

  it('needs each of them', async () => {
    for (const rule of rights.filter((each) => !seldom.includes(each))) {
      const others = rights.filter((each) => each !== rule);
      expect(await refusedTo(others), `without ${rule}`).not.toEqual([]);
    }
  });
});
