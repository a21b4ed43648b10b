import { ioredisExecutor } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createHub,
  createRedisLog,
  type Hub,
  type HubOptions,
  type RedisLogOptions,
} from '../../src/index.ts';
import { type CollectingSink, collectingSink, upTo } from '../collect.ts';

/** This file kills connections and flushes, so the Redis is its own. */
let server: Awaited<ReturnType<typeof startRedis>>;
let admin: Redis;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startRedis({ own: true });
  admin = new Redis(server.url);
  admin.on('error', () => {});
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

afterAll(async () => {
  admin?.disconnect();
  await server?.stop();
});

const patience = { timeout: 20_000, interval: 20 };

/** One instance: a hub over connections of its own. */
function instance(
  namespace: string,
  options: Partial<HubOptions> & Pick<RedisLogOptions, 'length'> = {},
): { hub: Hub; errors: unknown[] } {
  const { length, ...hubOptions } = options;
  const client = new Redis(server.url, { lazyConnect: true });
  client.on('error', () => {});
  const redis = ioredisExecutor(client, { commandTimeout: '2s' });
  const log = createRedisLog({ redis, namespace, ...(length !== undefined && { length }) });
  const hub = createHub({ log, heartbeat: '500ms', ...hubOptions });
  const errors: unknown[] = [];
  hub.onError((error) => errors.push(error));
  ends.push(async () => {
    await hub.close();
    await log.close();
    await redis.close();
    client.disconnect();
  });
  return { hub, errors };
}

async function open(hub: Hub, tenant = 'a', lastEventId?: string) {
  const sink = collectingSink();
  const admission = await hub.connect({ tenant, sink, lastEventId });
  if (admission.state !== 'open') throw new Error(`refused: ${admission.reason}`);
  return { sink, stream: admission.stream };
}

const event = (data: unknown, tenant = 'a') => ({ type: 'changed', tenant, data });
const data = (sink: CollectingSink) => sink.received().map((each) => each.data);
const offsets = (sink: CollectingSink) => sink.received().map(({ offset }) => offset);
const lastId = (sink: CollectingSink) => sink.events.findLast(({ id }) => id !== '')?.id ?? '';

describe('two instances over one Redis', () => {
  it('RC-10 what is published on one reaches the listeners of the other, in order, of that tenant only', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const here = await open(one.hub);
    const there = await open(two.hub);
    const other = await open(two.hub, 'b');
    await Promise.all(upTo(100).map((n) => one.hub.publish([event(n), event(-n)])));
    for (const { sink } of [here, there]) {
      await vi.waitFor(() => expect(offsets(sink)).toEqual(upTo(200)), patience);
    }
    expect(data(there.sink)).toEqual(data(here.sink));
    expect(other.sink.received()).toEqual([]);
  });

  it('RC-10 a listener that comes to the other instance gets what it missed and then what is live', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const first = await open(one.hub);
    await one.hub.publish(upTo(3).map((n) => event(n)));
    await vi.waitFor(() => expect(data(first.sink)).toEqual(upTo(3)), patience);
    first.stream.close();
    await one.hub.publish([event(4), event(5)]);
    const second = await open(two.hub, 'a', lastId(first.sink));
    await one.hub.publish([event(6)]);
    await vi.waitFor(() => expect(data(second.sink)).toEqual([4, 5, 6]), patience);
    expect(second.sink.gaps()).toEqual([]);
  });

  it('a position that another instance has told is right before its message has arrived here', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    await open(two.hub);
    for (let n = 1; n <= 50; n += 1) {
      await one.hub.publish([event(n)]);
      const { sink, stream } = await open(two.hub, 'a', await one.hub.position('a'));
      expect(sink.gaps()).toEqual([]);
      stream.close();
    }
  });

  it('a mass that comes back costs few reads of the log', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const start = await one.hub.position('a');
    await one.hub.publish(upTo(100).map((n) => event(n)));
    const sinks = await Promise.all(upTo(200).map(async () => (await open(two.hub, 'a', start)).sink));
    for (const sink of sinks) await vi.waitFor(() => expect(offsets(sink)).toEqual(upTo(100)), patience);
    expect(two.hub.metrics().reads).toBeLessThan(10);
  });

  it('an event of every tenant and a gap reach all tenants on all instances, those away included', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const [a, b] = [await open(one.hub, 'a'), await open(two.hub, 'b')];
    const away = await two.hub.position('c');
    await one.hub.publish([{ type: 'notice', data: 'all', origin: 'x:1' }]);
    await one.hub.publish([{ type: 'notice', data: 'all', origin: 'x:1' }]);
    await one.hub.gap();
    const c = await open(one.hub, 'c', away);
    for (const { sink } of [a, b, c]) {
      await vi.waitFor(() => expect([data(sink), sink.gaps()]).toEqual([['all'], ['source']]), patience);
    }
  });
});

describe('a fault of Redis', () => {
  async function killSubscribers(): Promise<void> {
    expect(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBeGreaterThan(0);
  }

  it('subscriber connections that are killed while events come lose nothing', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const sinks = [(await open(one.hub)).sink, (await open(two.hub)).sink];
    for (let n = 1; n <= 300; n += 1) {
      await one.hub.publish([event(n)]);
      if (n % 60 === 0) await vi.waitFor(killSubscribers, patience);
    }
    for (const sink of sinks) {
      await vi.waitFor(() => expect(offsets(sink)).toEqual(upTo(300)), patience);
      expect(sink.gaps()).toEqual([]);
    }
  });

  it('a last event that was published while nobody could hear is found without another one', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const { sink } = await open(two.hub);
    await one.hub.position('a');
    const published = one.hub.publish([event(1)]);
    await killSubscribers();
    await published;
    await vi.waitFor(() => expect(offsets(sink)).toEqual([1]), patience);
  });

  it('FLUSHALL is a gap for those who listen and for those who come back, and then events go on', async () => {
    const namespace = uniqueNamespace();
    const [one, two] = [instance(namespace), instance(namespace)];
    const { sink } = await open(two.hub);
    await one.hub.publish([event(1)]);
    await vi.waitFor(() => expect(data(sink)).toEqual([1]), patience);
    const before = lastId(sink);
    await admin.flushall();
    await vi.waitFor(() => expect(sink.gaps()).toEqual(['epoch']), patience);
    await one.hub.publish([event(2)]);
    await vi.waitFor(() => expect(data(sink)).toEqual([1, 2]), patience);
    const back = await open(one.hub, 'a', before);
    await vi.waitFor(() => expect(back.sink.gaps()).toEqual(['epoch']), patience);
    await one.hub.publish([event(3)]);
    await vi.waitFor(() => expect(data(back.sink)).toEqual([3]), patience);
  });

  it('a log that was trimmed is a gap and never a part of what was missed', async () => {
    const namespace = uniqueNamespace();
    const one = instance(namespace, { length: 10, replay: 10_000 });
    const start = await one.hub.position('a');
    for (let n = 1; n <= 400; n += 1) await one.hub.publish([event(n)]);
    const { sink } = await open(one.hub, 'a', start);
    await vi.waitFor(() => expect(sink.gaps()).toEqual(['trimmed']), patience);
    expect(data(sink)).toEqual([]);
    await one.hub.publish([event('next')]);
    await vi.waitFor(() => expect(data(sink)).toEqual(['next']), patience);
  });

  it('Redis killed and started again: streams stay, new ones are refused meanwhile, and all heals by itself', async () => {
    const namespace = uniqueNamespace();
    const { hub, errors } = instance(namespace);
    const { sink } = await open(hub);
    await hub.publish([event(1)]);
    await vi.waitFor(() => expect(data(sink)).toEqual([1]), patience);
    await server.kill('SIGKILL');
    await expect(hub.publish([event(2)])).rejects.toThrow();
    expect(await hub.connect({ tenant: 'b', sink: collectingSink() })).toMatchObject({
      reason: 'unavailable',
    });
    await vi.waitFor(() => expect(errors.length).toBeGreaterThan(0), patience);
    expect(sink.ended).toBe(false);
    await server.restart();
    // It kept nothing on disk, so it comes back empty.
    await vi.waitFor(() => expect(sink.gaps()).toEqual(['epoch']), patience);
    await vi.waitFor(() => hub.publish([event(3)]), patience);
    await vi.waitFor(() => expect(data(sink).at(-1)).toBe(3), patience);
    await vi.waitFor(() => open(hub, 'b'), patience);
  });
});
