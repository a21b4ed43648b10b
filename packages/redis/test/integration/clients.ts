import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import type { IoRedisLike } from '../../src/index.ts';

/** What the tests need of a client to look at Redis from outside of CacheKit. */
export type Observer = Redis6;

interface Clients {
  readonly name: string;
  /** A client that is never connected itself. */
  standalone(url: string): IoRedisLike;
  cluster(nodes: readonly Address[], natMap?: NatMap, user?: Credentials): IoRedisLike;
  sentinel(name: string, sentinels: readonly Address[], natMap?: NatMap): IoRedisLike;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Where to go instead of the address, `host:port`, that a server names. */
type NatMap = Record<string, Address>;

/** Both supported majors of ioredis. */
export const ioredis: readonly Clients[] = [
  {
    name: 'ioredis 6',
    standalone: (url) => new Redis6(url, { lazyConnect: true }),
    cluster: (nodes, natMap, user) =>
      new Cluster6([...nodes], {
        lazyConnect: true,
        ...(natMap && { natMap }),
        ...(user && { redisOptions: { username: user.username, password: user.password } }),
      }),
    sentinel: (name, sentinels, natMap) =>
      new Redis6({ name, sentinels: [...sentinels], lazyConnect: true, ...(natMap && { natMap }) }),
  },
  {
    name: 'ioredis 5',
    standalone: (url) => new Redis5(url, { lazyConnect: true }),
    cluster: (nodes, natMap, user) =>
      new Cluster5([...nodes], {
        lazyConnect: true,
        ...(natMap && { natMap }),
        ...(user && { redisOptions: { username: user.username, password: user.password } }),
      }),
    sentinel: (name, sentinels, natMap) =>
      new Redis5({ name, sentinels: [...sentinels], lazyConnect: true, ...(natMap && { natMap }) }),
  },
];

/** A client of its own for looking at Redis. Its errors are of no interest: servers are killed on purpose. */
export function observe(url: string): Observer {
  const client = new Redis6(url, { maxRetriesPerRequest: null });
  client.on('error', () => {});
  return client;
}

/** The number of connections that the server has now, the asking one not counted. */
export async function connections(observer: Observer): Promise<number> {
  const list = String(await observer.call('CLIENT', 'LIST'));
  return list.trim().split('\n').length - 1;
}
