import { startRedisCluster } from '@cachekit/services';
import { afterAll, beforeAll, describe } from 'vitest';
import { checks, rightsOf, rightsUnder } from './checks.ts';
import { features } from './features.ts';

const long = process.env.CACHEKIT_LONG === '1';
const onCluster = rightsUnder('Redis Cluster');
/** No script appends to the log there. */
const unused = ['~ck:e:changes', '+xadd'];

let cluster: Awaited<ReturnType<typeof startRedisCluster>>;

beforeAll(async () => {
  cluster = await startRedisCluster();
}, 120_000);
afterAll(() => cluster.stop());

describe.each(Object.entries(features).filter(([feature]) => feature !== 'Cache, by a log'))(
  'on Redis Cluster: %s',
  (feature, use) => {
    const rights = [...rightsOf(feature).filter((rule) => !unused.includes(rule)), ...onCluster];
    checks(
      () => cluster.nodes,
      use,
      (client, user) => client.cluster(cluster.nodes, undefined, user),
      rights,
      long ? rights : onCluster,
    );
  },
);
