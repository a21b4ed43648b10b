import type { CoherenceMode, RedisExecutor, RemoteTier } from '@cachekit/core';
import { Redis as Upstash } from '@upstash/redis';
import { ioredisExecutor, redisTier } from '../../../src/index.ts';
import { upstashExecutor } from '../../../src/upstash/index.ts';
import { ioredis } from '../clients.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** How a process reaches its store, in words that can be told to another process. */
export type Reach =
  | { readonly kind: 'standalone'; readonly servers: readonly Address[] }
  | { readonly kind: 'cluster'; readonly servers: readonly Address[] }
  | {
      readonly kind: 'sentinel';
      readonly servers: readonly Address[];
      readonly name: string;
      readonly sentinels: readonly Address[];
    }
  | { readonly kind: 'http'; readonly servers: readonly Address[]; readonly token: string };

/** Where a client goes instead of the address, `host:port`, that a server names. */
export type NatMap = Readonly<Record<string, Address>>;

const [newest] = ioredis as [(typeof ioredis)[0] & object];

/** The tier of a process, and how to end its connections. */
export function tierOf(
  reach: Reach,
  through: NatMap,
  options: {
    readonly namespace: string;
    readonly coherence: CoherenceMode;
    readonly commandTimeout: '10s' | undefined;
  },
): { readonly tier: RemoteTier; close(): Promise<void> } {
  const { namespace, coherence, commandTimeout } = options;
  const redis = executorOf(reach, through, commandTimeout === undefined ? {} : { commandTimeout });
  return { tier: redisTier({ redis, namespace, coherence }), close: () => redis.close() };
}

function executorOf(
  reach: Reach,
  through: NatMap,
  options: { readonly commandTimeout?: '10s' },
): RedisExecutor {
  const entry = ({ host, port }: Address): Address => through[`${host}:${port}`] ?? { host, port };
  const [first] = reach.servers.map(entry) as [Address];
  switch (reach.kind) {
    case 'standalone':
      return ioredisExecutor(newest.standalone(`redis://${first.host}:${first.port}`), options);
    case 'cluster':
      return ioredisExecutor(newest.cluster(reach.servers.map(entry), through), options);
    case 'sentinel':
      return ioredisExecutor(newest.sentinel(reach.name, reach.sentinels, through), options);
    case 'http':
      return upstashExecutor(
        new Upstash({
          url: `http://${first.host}:${first.port}`,
          token: reach.token,
          automaticDeserialization: false,
          enableTelemetry: false,
        }),
        options,
      );
  }
}
