import { randomBytes } from 'node:crypto';
import type { RedisServer } from '@cachekit/services';
import { paymentsOf, pretendBank } from '../doubles/bank.ts';
import { inventCustomers, pretendCustomers } from '../doubles/customers.ts';
import { poolOf } from '../pool.ts';
import { prepare } from '../run.ts';
import { configurations } from './configurations.ts';
import { invalidationTable } from './invalidation-table.ts';
import { matches } from './matches.ts';
import { outage } from './outage.ts';
import { personalData } from './personal-data.ts';
import { digestOverTheSameEntries, readAtTwoServers } from './reads.ts';
import { startServer, untilHit } from './server.ts';
import { followSync } from './sync.ts';
import type { Table } from './table.ts';

/** What the story is played with. */
export interface Stage {
  readonly databaseUrl: string;
  /** One that nobody else uses: it is killed on the way. */
  readonly redis: Pick<RedisServer, 'url' | 'kill' | 'restart'>;
  readonly size: { readonly tenants: number; readonly transactions: number; readonly customers: number };
}

/** Plays the whole story with two servers, a database and a Redis; tells each part as soon as it was seen. */
export async function play({ databaseUrl, redis, size }: Stage, show: (table: Table) => void): Promise<void> {
  await prepare(databaseUrl, size);
  const bank = pretendBank();
  for (const payment of paymentsOf(inventCustomers('t1', size.customers), 'a1', '2026-07')) {
    bank.receive(payment);
  }
  const base = {
    databaseUrl,
    bank,
    customers: pretendCustomers(size.customers),
    webhookSecret: randomBytes(32).toString('hex'),
  };
  const troubles: string[] = [];
  const shared = {
    ...base,
    env: { REDIS_URL: redis.url },
    cacheSecret: randomBytes(32),
    onTrouble: (part: string, error: unknown) => troubles.push(`${part}: ${String(error)}`),
  };
  try {
    show(await configurations(redis.url, base));
    const one = await startServer(shared);
    const other = await startServer(shared);
    try {
      for (const server of [one, other]) await untilHit(server, '/api/settings', 't2');
      show(await readAtTwoServers(one, other, base.customers));
      show(await digestOverTheSameEntries(one));
      show(await followSync(one, other, bank));
      show(await matches(one));
      show(await invalidationTable(one));
      show(await personalData(redis.url, base));
      if (troubles.length > 0) throw new Error(troubles.join('; '));
      show(await outage(redis, one, bank));
    } finally {
      await one.close();
      await other.close();
    }
  } finally {
    await poolOf(databaseUrl).end();
  }
}
