import type { Alert } from '@cachekit/core';
import type { Scene } from '../instances.ts';
import { keys } from '../keys.ts';
import { pageOf } from '../replay.ts';
import { printTable } from './scene.ts';

const endpoint = 'http://localhost/api/v1/cache/metrics';
/** What is printed of it; there is more. */
const members = [
  ...['messages', 'company', 'users', 'contacts', 'contactsByPhone', 'validations', 'overall'],
  ...['hits', 'misses', 'hitRate', 'totalRequests'],
  ...['cache', 'redis', 'memory', 'usedMemoryHuman', 'memoryUsagePercent', 'stats', 'connectedClients'],
];

/** What monitoring fetches, and how it begins to count again. */
export async function showMetrics({ crms: [crm] }: Scene): Promise<void> {
  const { cache, redis } = (await (await crm.metrics(new Request(endpoint))).json()) as Record<
    string,
    unknown
  >;
  console.log(`\nGET /api/v1/cache/metrics of instance 1\n\n${JSON.stringify({ cache, redis }, members, 2)}`);
  const { status } = await crm.metrics(new Request(endpoint, { method: 'DELETE' }));
  const { overall } = crm.cache.metrics().cache;
  console.log(`\nDELETE of the same: ${status}, and ${overall.totalRequests} requests are counted.`);
}

/** Each alert, by what brings it about in real life. */
export async function showAlerts({ crms: [crm], chatwoot, chats }: Scene): Promise<void> {
  const { alerts, asked, cache } = crm;
  const rows: string[][] = [];
  let what = '';
  const told =
    (event: string) =>
    ({ kind, value, threshold }: Alert): void => {
      rows.push([what, event, kind, String(Math.round(value)), String(threshold)]);
    };
  alerts.on('raised', told('raised'));
  alerts.on('cleared', told('cleared'));
  const open = (some = chats) =>
    Promise.all(some.map((chat) => crm.reads.history(chat.company, pageOf(chat))));

  await cache.clear();
  what = 'an export opens every chat once';
  await open();
  await alerts.check();
  what = 'and once more';
  await open();
  await alerts.check();

  what = 'a migration locks the messages for 2.2 seconds';
  const few = chats.slice(0, 30);
  await cache.invalidateTags(...few.map(({ company, id }) => keys.tag(company, `chat:${id}`)));
  const locked = Promise.withResolvers<void>();
  const migration = chatwoot.transaction(async (transaction) => {
    await transaction.query('lock table messages in access exclusive mode');
    locked.resolve();
    await transaction.query('select pg_sleep(2.2)');
  });
  await locked.promise;
  const reads = open(few);
  // Until the loads have asked the pool.
  await new Promise((resolve) => setTimeout(resolve, 200));
  await alerts.check();
  await Promise.all([migration, reads]);
  what = 'a minute later';
  await open();
  await alerts.check();
  await alerts.check();

  what = 'Redis may use no more than it does';
  const { usedMemoryBytes } = (await redisMemory(crm)).memory;
  await asked.redis.command('CONFIG', 'SET', 'maxmemory', String(Math.round(usedMemoryBytes * 1.1)));
  await alerts.check();
  what = 'it may use more';
  await asked.redis.command('CONFIG', 'SET', 'maxmemory', '0');
  await alerts.check();
  printTable('Alerts of instance 1', ['what happens', '', 'alert', 'value', 'allowed'], rows);
}

async function redisMemory(crm: Scene['crms'][number]): Promise<{ memory: { usedMemoryBytes: number } }> {
  const { redis } = (await (await crm.metrics(new Request(endpoint))).json()) as {
    redis: { memory: { usedMemoryBytes: number } };
  };
  return redis;
}
