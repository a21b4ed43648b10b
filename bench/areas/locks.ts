import { createLocks, createPresence, ioredisExecutor } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis-5';
import { cachekitLock, redisSemaphore, redlock, type SectionLock } from '../peers/section-lock.ts';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { takeTurns } from '../runner/take-turns.ts';

/** What a fight for one lock has shown, in ms. */
interface Fight {
  /** From the moment in which one gives the lock back to that in which another one is inside. */
  readonly handOver: number;
  /** The longest that anyone waited. */
  readonly longestWait: number;
}

/** As many want the lock, as often each; and so long each is inside. */
const fighters = 8;
const sections = 5;
const insideMs = 5;

/** Locks against redlock and redis-semaphore, and what presence keeps and how late it tells of a leave. */
export async function locks(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const client = new Redis5(server.url);
  const redis = ioredisExecutor(new Redis(server.url, { lazyConnect: true }), { commandTimeout: '10s' });
  const ours = createLocks({ redis });
  try {
    const ways = {
      ours: cachekitLock(ours),
      'redis-semaphore': redisSemaphore(client),
      redlock: redlock(client, 200),
      'redlock every 20 ms': redlock(client, 20),
    };
    return [
      ...(await contended(ways)),
      ...(await uncontended(ways)),
      await bytesPerDevice(client, redis),
      await lateness(redis),
    ];
  } finally {
    await ours.close();
    await redis.close();
    client.disconnect();
    await server.stop();
  }
}

async function contended(ways: Readonly<Record<string, SectionLock>>): Promise<Figure[]> {
  let key = 0;
  const fights = await takeTurns<Fight>(
    Object.fromEntries(
      Object.entries(ways).map(([name, lock]) => [name, () => fight(lock, `fight-${key++}`)]),
    ),
    { rounds: 9 },
  );
  const of = (name: string, what: keyof Fight): number[] =>
    (fights.get(name) as readonly Fight[]).map((seen) => seen[what]);
  const figures: Figure[] = [];
  for (const [what, title, atMost] of [
    ['handOver', 'hand-over of a lock, p50', 1],
    ['longestWait', `longest wait of ${fighters} that are inside ${insideMs} ms each`, 50],
  ] as const) {
    for (const peer of Object.keys(ways).slice(1)) {
      const compared = compare(of('ours', what), of(peer, what));
      figures.push(figure(`${title}, to ${peer}, ms`, compared, { of: 'ours', atMost }));
    }
  }
  return figures;
}

async function fight(lock: SectionLock, key: string): Promise<Fight> {
  const handOvers: number[] = [];
  let longestWait = 0;
  let released: { readonly by: number; readonly at: number } | undefined;
  const fighter = async (_: unknown, self: number): Promise<void> => {
    for (let section = 0; section < sections; section++) {
      const asked = performance.now();
      const release = await lock(key);
      const entered = performance.now();
      longestWait = Math.max(longestWait, entered - asked);
      // Who takes it again at once has handed nothing over.
      if (released !== undefined && released.by !== self) handOvers.push(entered - released.at);
      await new Promise((resolve) => setTimeout(resolve, insideMs));
      released = { by: self, at: performance.now() };
      await release();
    }
  };
  await Promise.all(Array.from({ length: fighters }, fighter));
  return { handOver: median(handOvers), longestWait };
}

async function uncontended(ways: Readonly<Record<string, SectionLock>>): Promise<Figure[]> {
  const once = (lock: SectionLock) => async (index: number) => (await lock(`free-${index % 100}`))();
  const samples = await measure({
    contenders: Object.entries(ways).map(([name, lock]) => ({ name, run: concurrently(1, once(lock)) })),
  });
  return ['redis-semaphore', 'redlock'].map((peer) => {
    const time = compare((samples.get('ours') as Samples).timeUs, (samples.get(peer) as Samples).timeUs);
    return figure(`lock and release that nobody else wants, to ${peer}, us`, time, {
      of: 'ratio',
      atMost: 1.5,
    });
  });
}

const tenants = 200;
const devices = 50;

async function bytesPerDevice(client: Redis5, redis: ReturnType<typeof ioredisExecutor>): Promise<Figure> {
  const presence = createPresence({ redis, namespace: 'bytes', ttl: '1h', wakeUp: 'poll' });
  const used = async (): Promise<number> =>
    Number(/^used_memory_dataset:(\d+)/m.exec(await client.info('memory'))?.[1]);
  // The scripts are the server's, whatever the number of devices.
  await presence.seen('first', 'device');
  const before = await used();
  for (let tenant = 0; tenant < tenants; tenant++) {
    await Promise.all(
      Array.from({ length: devices }, (_, device) =>
        presence.seen(`user-${tenant}`, `device-${1_000 + device}`),
      ),
    );
  }
  const after = await used();
  await presence.close();
  return figure(
    `presence, bytes of Redis per device with ${devices} per tenant`,
    { ours: (after - before) / (tenants * devices) },
    { of: 'ours', atMost: 40 },
  );
}

async function lateness(redis: ReturnType<typeof ioredisExecutor>): Promise<Figure> {
  const ttl = 1_000;
  const presence = createPresence({ redis, namespace: 'late', ttl });
  const seenAt = new Map<string, number>();
  let latest = 0;
  const all = Promise.withResolvers<void>();
  presence.onChange((change) => {
    if (change.type !== 'leave') return;
    latest = Math.max(latest, performance.now() - (seenAt.get(change.member) as number) - ttl);
    seenAt.delete(change.member);
    if (seenAt.size === 0) all.resolve();
  });
  for (let index = 0; index < 100; index++) {
    seenAt.set(`device-${index}`, performance.now());
    await presence.seen(`user-${index % 10}`, `device-${index}`);
    await new Promise((resolve) => setTimeout(resolve, 7));
  }
  await all.promise;
  await presence.close();
  return figure(
    'presence, the latest that a leave was told after ttl, ms',
    { ours: latest },
    { of: 'ours', atMost: 1_000 },
  );
}
