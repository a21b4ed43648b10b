import { readFileSync } from 'node:fs';
import { ioredisExecutor } from '@cachekit/redis';
import { redisUser, startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedisLog } from '../../src/index.ts';

const page = readFileSync(new URL('../../../../docs/redis-acl.md', import.meta.url), 'utf8');
const rights = (page.split('## Events of realtime\n')[1]?.match(/```\n([^`]+)```/)?.[1] ?? '')
  .trim()
  .split(/\s+/);

/** Asked of a connection that listens, after a second; and when a tenant that was idle for long is forgotten. */
const seldom = ['+ping', '+exists', '+zrem'];

let server: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** What a user with these rights met who writes and follows a log of events. */
async function refusedTo(rules: readonly string[]): Promise<readonly string[]> {
  const user = await redisUser(server.url, rules);
  const client = new Redis(user.url, { lazyConnect: true });
  const redis = ioredisExecutor(client, { commandTimeout: '5s' });
  try {
    const log = createRedisLog({ redis });
    try {
      const end = await log.follow('acme', { appended: () => {}, restored: () => {} });
      await log.append('acme', [{ type: 't', body: '{}', origin: 's:1' }]);
      const top = await log.position('acme');
      await log.readAfter('acme', { ...top, offset: 0 }, 10);
      for await (const page of log.tenants()) expect(page).toContain('acme');
      await end();
    } finally {
      await log.close();
    }
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
  it('writes and follows a log of events with exactly the rights that the page on permissions names', async () => {
    expect(await refusedTo(rights)).toEqual([]);
  });

  it('needs each of them', async () => {
    for (const rule of rights.filter((each) => !seldom.includes(each))) {
      const others = rights.filter((each) => each !== rule);
      expect(await refusedTo(others), `without ${rule}`).not.toEqual([]);
    }
  });
});
