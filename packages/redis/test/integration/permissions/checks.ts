import { readFileSync } from 'node:fs';
import type { RedisExecutor } from '@cachekit/core';
import { type RedisUser, redisUser } from '@cachekit/services';
import { expect, it } from 'vitest';
import { type IoRedisLike, ioredisExecutor } from '../../../src/index.ts';
import { ioredis } from '../clients.ts';

const page = readFileSync(new URL('../../../../../docs/redis-acl.md', import.meta.url), 'utf8');

/** The rules under a heading of the page. */
export function rightsUnder(heading: string): string[] {
  const [, section] = page.split(`## ${heading}\n`);
  const rules = section?.match(/```\n([^`]+)```/)?.[1];
  if (rules === undefined) throw new Error(`The page says nothing of ${heading}`);
  return rules.trim().split(/\s+/);
}

/** What a feature needs by the page. */
export function rightsOf(feature: string): string[] {
  return feature === 'Doctor and statistics'
    ? rightsUnder('Cache, by tracking').filter((rule) => rule !== '+scan')
    : rightsUnder(feature);
}

/** Asked for only after a second. */
const seldom = ['+ping'];

type Client = (typeof ioredis)[0];
const [newest] = ioredis as [Client & object];

/** What is asked for a client that is this user. */
type Connect = (client: Client, user: RedisUser) => IoRedisLike;

/** What a user with these rights met who used the feature: what the server refused, and the error it ended with. */
async function refusedTo(
  servers: Parameters<typeof redisUser>[0],
  rules: readonly string[],
  use: (open: () => RedisExecutor) => Promise<void>,
  connect: (user: RedisUser) => IoRedisLike,
): Promise<readonly string[]> {
  const user = await redisUser(servers, rules);
  const opened: RedisExecutor[] = [];
  const open = (): RedisExecutor => {
    const redis = ioredisExecutor(connect(user), { commandTimeout: '10s' });
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
    const refused = [...(await user.refused()), ...(failed ?? [])];
    if (refused.length === 0 && (await user.connections()) === 0) return ['nobody came as this user'];
    return refused;
  } finally {
    await Promise.all(opened.map((redis) => redis.close()));
    await user.close();
  }
}

/**
 * Checks that a feature works with its rights and without none of them.
 *
 * @param tried - The rights that are taken away, one at a time.
 */
export function checks(
  servers: () => Parameters<typeof redisUser>[0],
  use: (open: () => RedisExecutor) => Promise<void>,
  connect: Connect,
  rights: readonly string[],
  tried: readonly string[] = rights,
): void {
  it.each(ioredis)('works with exactly the rights of the page, over $name', async (client) => {
    expect(await refusedTo(servers(), rights, use, (user) => connect(client, user))).toEqual([]);
  });

  it(`needs each of them: ${tried.length}`, async () => {
    for (const rule of tried) {
      if (seldom.includes(rule)) continue;
      const others = rights.filter((each) => each !== rule);
      const refused = await refusedTo(servers(), others, use, (user) => connect(newest, user));
      expect(refused, `without ${rule}`).not.toEqual([]);
    }
  }, 120_000);
}
