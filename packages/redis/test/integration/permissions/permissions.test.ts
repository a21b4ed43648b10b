import { readFileSync } from 'node:fs';
import type { RedisExecutor } from '@cachekit/core';
import { redisUser, startRedis } from '@cachekit/services';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ioredisExecutor } from '../../../src/index.ts';
import { ioredis } from '../clients.ts';
import { features } from './features.ts';

const page = readFileSync(new URL('../../../../../docs/redis-acl.md', import.meta.url), 'utf8');

/** The rules under a heading of the page. */
function rightsOf(feature: string): string[] {
  const [, section] = page.split(`## ${feature}\n`);
  const rules = section?.match(/```\n([^`]+)```/)?.[1];
  if (rules === undefined) throw new Error(`The page says nothing of ${feature}`);
  return rules.trim().split(/\s+/);
}

/** Asked for only after a second. */
const seldom = ['+ping'];

let server: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** What a user with these rights met who used the feature: what the server refused, and the error it ended with. */
async function refusedTo(
  rules: readonly string[],
  use: (open: () => RedisExecutor) => Promise<void>,
  client: (typeof ioredis)[0],
): Promise<readonly string[]> {
  const user = await redisUser(server.url, rules);
  const opened: RedisExecutor[] = [];
  const open = (): RedisExecutor => {
    const redis = ioredisExecutor(client.standalone(user.url), { commandTimeout: '10s' });
    opened.push(redis);
    return redis;
  };
  try {
    let failed: string[] | undefined;
    const used = use(open).then(
      () => {
        failed = [];
      },
      (error: unknown) => {
        failed = [`failed: ${String(error)}`];
      },
    );
    // The first that is refused is enough; who uses the feature may wait long for what cannot come.
    while (failed === undefined && (await user.refused()).length === 0) {
      await Promise.race([used, new Promise((resolve) => setTimeout(resolve, 10))]);
    }
    return [...(await user.refused()), ...(failed ?? [])];
  } finally {
    await Promise.all(opened.map((redis) => redis.close()));
    await user.close();
  }
}

describe.each(Object.entries(features))('%s', (feature, use) => {
  const [newest] = ioredis as [(typeof ioredis)[0] & object];
  const rights =
    feature === 'Doctor and statistics'
      ? rightsOf('Cache, by tracking').filter((rule) => rule !== '+scan')
      : rightsOf(feature);

  it.each(ioredis)('works with exactly the rights of the page, over $name', async (client) => {
    expect(await refusedTo(rights, use, client)).toEqual([]);
  });

  it('needs each of them', async () => {
    for (const rule of rights) {
      if (seldom.includes(rule)) continue;
      const others = rights.filter((each) => each !== rule);
      expect(await refusedTo(others, use, newest), `without ${rule}`).not.toEqual([]);
    }
  }, 120_000);
});
