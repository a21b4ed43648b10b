import {
  type FaultProxy,
  type ProxiedConnection,
  type RaceProcess,
  raceSuite,
  startFaultProxy,
} from '@cachekit/core/testing';
import { startRedis, startRedisCluster } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis, type Observer, observe } from './clients.ts';

const [newest] = ioredis as [(typeof ioredis)[0] & object];
const ways = ['tracking', 'pubsub'] as const;

/** Whether a connection hears what others change. */
const isBus = ({ sent }: ProxiedConnection): boolean => /subscribe/i.test(sent);
const isData = (connection: ProxiedConnection): boolean => !isBus(connection);

for (const coherence of ways) {
  describe(`over ${newest.name}`, () => {
    let server: Awaited<ReturnType<typeof startRedis>>;
    let observer: Observer;

    beforeAll(async () => {
      server = await startRedis({ own: true });
      observer = observe(server.url);
    });
    afterAll(async () => {
      observer.disconnect();
      await server.stop();
    });

    raceSuite(
      `redisTier() by ${coherence}`,
      async () => {
        const namespace = uniqueNamespace();
        const opened: { close(): Promise<unknown> }[] = [];
        const open = async (): Promise<RaceProcess> => {
          const proxy = await startFaultProxy({ port: server.port });
          const redis = ioredisExecutor(newest.standalone(`redis://127.0.0.1:${proxy.port}`), {
            commandTimeout: '2s',
          });
          // In this order: the proxy would keep an executor waiting.
          opened.push({ close: () => redis.close().finally(() => proxy.close()) });
          return { tier: redisTier({ redis, namespace, coherence }), link: linkOf(proxy) };
        };
        return {
          namespace,
          open,
          write: async (key, text) => void (await observer.set(key, text)),
          remove: async (key) => void (await observer.del(key)),
          spoil: async (key) => void (await observer.lpush(key, 'x')),
          close: async () => void (await Promise.all(opened.splice(0).map((each) => each.close()))),
        };
      },
      { hearsForeign: coherence === 'tracking' },
    );
  });
}

describe('on Redis Cluster', () => {
  let servers: Awaited<ReturnType<typeof startRedisCluster>>;

  beforeAll(async () => {
    servers = await startRedisCluster();
  }, 120_000);
  afterAll(() => servers.stop());

  raceSuite(
    'redisTier() on Cluster',
    async () => {
      const namespace = uniqueNamespace();
      const opened: { close(): Promise<unknown> }[] = [];
      const outside = ioredisExecutor(newest.cluster(servers.nodes), { commandTimeout: '10s' });
      opened.push(outside);
      const open = async (): Promise<RaceProcess> => {
        const proxies = await Promise.all(servers.nodes.map((node) => startFaultProxy(node)));
        const through = new Map(
          servers.nodes.map(({ host, port }, index) => [
            `${host}:${port}`,
            { host: '127.0.0.1', port: (proxies[index] as FaultProxy).port },
          ]),
        );
        const natMap = Object.fromEntries(through);
        const client = new Cluster(Object.values(natMap), { lazyConnect: true, natMap });
        const redis = ioredisExecutor(client, { commandTimeout: '2s' });
        opened.push({
          close: async () => {
            await redis.close();
            await Promise.all(proxies.map((proxy) => proxy.close()));
          },
        });
        const links = proxies.map(linkOf);
        return {
          tier: redisTier({ redis, namespace, coherence: 'pubsub' }),
          link: {
            refuse: () => {
              for (const link of links) link.refuse();
            },
            hang: () => {
              for (const link of links) link.hang();
            },
            mend: () => {
              for (const link of links) link.mend();
            },
            cutBus: () => {
              for (const link of links) link.cutBus();
            },
            hold: () => {
              const letGo = links.map((link) => link.hold());
              return () => {
                for (const each of letGo) each();
              };
            },
            connections: () => links.reduce((sum, link) => sum + link.connections(), 0),
          },
        };
      };
      return {
        namespace,
        open,
        write: async (key, text) => void (await outside.command('SET', key, text)),
        remove: async (key) => void (await outside.command('DEL', key)),
        spoil: async (key) => void (await outside.command('LPUSH', key, 'x')),
        close: async () => void (await Promise.all(opened.splice(0).map((each) => each.close()))),
      };
    },
    { failingLoads: 1_000 },
  );
});

function linkOf(proxy: FaultProxy): RaceProcess['link'] {
  return {
    refuse: () => proxy.refuse(),
    hang: () => proxy.hang(),
    mend: () => proxy.mend(),
    hold: () => proxy.hold(isData),
    cutBus: () => proxy.cut(isBus),
    connections: () => proxy.connections,
  };
}
