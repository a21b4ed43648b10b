import { ioredisExecutor } from '@cachekit/redis';
import { startRedisCluster } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createHub, createRedisLog, type EventLog, type Hub } from '../../src/index.ts';
import { collectingSink, upTo } from '../collect.ts';
import { eventLogSuite } from '../log-suite.ts';

let servers: Awaited<ReturnType<typeof startRedisCluster>>;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  servers = await startRedisCluster();
}, 120_000);

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

afterAll(() => servers?.stop());

function newLog(namespace: string, length = 1_000): EventLog {
  const redis = ioredisExecutor(new Cluster([...servers.nodes], { lazyConnect: true }), {
    commandTimeout: '10s',
  });
  const log = createRedisLog({ redis, namespace, length });
  ends.push(async () => {
    await log.close();
    await redis.close();
  });
  return log;
}

eventLogSuite('createRedisLog() on Redis Cluster', async ({ length }) => {
  const namespace = uniqueNamespace();
  return () => newLog(namespace, length);
});

describe('two instances over a Redis Cluster', () => {
  it('RC-10 deliver the events of tenants on every master to the listeners on both', async () => {
    const namespace = uniqueNamespace();
    const hubs: Hub[] = [createHub({ log: newLog(namespace) }), createHub({ log: newLog(namespace) })];
    ends.push(async () => void (await Promise.all(hubs.map((hub) => hub.close()))));
    const tenants = upTo(12).map((n) => `tenant-${n}`);
    const listeners = await Promise.all(
      tenants.flatMap((tenant) =>
        hubs.map(async (hub) => {
          const sink = collectingSink();
          expect(await hub.connect({ tenant, sink })).toMatchObject({ state: 'open' });
          return { tenant, sink };
        }),
      ),
    );
    for (let n = 1; n <= 20; n += 1) {
      await hubs[n % 2]?.publish(
        tenants.map((tenant) => ({ type: 'changed', tenant, data: `${tenant} ${n}` })),
      );
    }
    await hubs[0]?.publish([{ type: 'changed', data: 'all' }]);
    for (const { tenant, sink } of listeners) {
      const expected = [...upTo(20).map((n) => `${tenant} ${n}`), 'all'];
      await vi.waitFor(() => expect(sink.received().map(({ data }) => data)).toEqual(expected), 20_000);
      expect(sink.gaps()).toEqual([]);
    }
  });
});
