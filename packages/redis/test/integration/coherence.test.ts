import { newToken, type RedisExecutor, type RemoteEntry, type RemoteTier } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { connections, ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';
import { Told } from './told.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

function entry(clock: number, tags: readonly string[] = []): RemoteEntry {
  const version = newToken(Math.random);
  const freshUntil = Date.now() + 60_000;
  return { kind: 'value', clock, freshUntil, version, loadMs: 0, tags, codec: 'j', payload: '1' };
}

describe.each(ioredis)('coherence by pubsub over $name', ({ standalone }) => {
  let server: Server;
  let observer: Observer;
  let mine: RedisExecutor;
  let other: RedisExecutor;
  let writer: RemoteTier;
  let listener: RemoteTier;
  let told: Told;

  beforeAll(async () => {
    server = await startRedis({ own: true });
    observer = observe(server.url);
  });
  beforeEach(async () => {
    mine = ioredisExecutor(standalone(server.url), { commandTimeout: '2s' });
    other = ioredisExecutor(standalone(server.url), { commandTimeout: '2s' });
    writer = redisTier({ redis: mine, coherence: 'pubsub' });
    listener = redisTier({ redis: other, coherence: 'pubsub' });
    told = new Told();
  });
  afterEach(async () => {
    await Promise.all([writer.close(), listener.close()]);
    await Promise.all([mine.close(), other.close()]);
    await observer.flushall();
  });
  afterAll(async () => {
    observer.disconnect();
    await server.stop();
  });

  async function listen(): Promise<void> {
    listener.coherence?.start(told);
    await eventually(() => told.events).toEqual(['armed']);
    told.events.length = 0;
  }

  it('opens no connection before it is started (RC-1)', async () => {
    await observer.ping();
    expect(await connections(observer)).toBe(0);
    await listen();
    // One that listens, and that for commands, over which it marks its place in the log.
    expect(await connections(observer)).toBe(2);
  });

  it('tells every write of another process, as soon as it is done', async () => {
    await listen();
    const expectTold = async (...keys: string[]): Promise<void> => {
      await eventually(() => keys.every((key) => told.keys.has(key))).toBe(true);
      told.keys.clear();
    };
    await writer.put('k', entry(0, ['t']), 60_000);
    await expectTold('k');
    await writer.expire(['k']);
    await expectTold('k');
    await writer.bumpTags(['t', 'u']);
    await expectTold('t', 'u');
    await writer.delete(['k', 'never-there']);
    await expectTold('k', 'never-there');
    const token = newToken(Math.random);
    const first = await writer.acquire({ key: 'k', token, leaseMs: 10_000 });
    if (first.state !== 'acquired') throw new Error('Expected to become the loader');
    await writer.release('k', token);
    await expectTold('k');
    const again = await writer.acquire({ key: 'k', token, leaseMs: 10_000 });
    if (again.state !== 'acquired') throw new Error('Expected to become the loader');
    const loaded = entry(again.clock);
    await writer.commit({ key: 'k', token, entry: loaded, ttlMs: 60_000 });
    await expectTold('k');
    await writer.touch('k', loaded.version, Date.now() + 1_000, 1_000);
    await expectTold('k');
  });

  it('tells the version of what was stored, so that its writer need not read it again', async () => {
    await listen();
    const stored = entry(0);
    await writer.put('k:é\u0001', stored, 60_000);
    await eventually(() => told.events).toEqual(['changed k:é\u0001']);
    const token = newToken(Math.random);
    const acquired = await writer.acquire({ key: 'l', token, leaseMs: 10_000 });
    if (acquired.state !== 'acquired') throw new Error('Expected to become the loader');
    const loaded = entry(acquired.clock);
    await writer.commit({ key: 'l', token, entry: loaded, ttlMs: 60_000 });
    await writer.expire(['l']);
    await eventually(() => told.versions).toEqual([stored.version, loaded.version, undefined]);
  });

  it('tells a waiter when a load is refused, so that it does not wait for the lease to run out', async () => {
    await listen();
    const token = newToken(Math.random);
    const acquired = await writer.acquire({ key: 'k', token, leaseMs: 10_000 });
    if (acquired.state !== 'acquired') throw new Error('Expected to become the loader');
    await writer.bumpTags(['t']);
    const refused = { key: 'k', token, entry: entry(acquired.clock, ['t']), ttlMs: 1_000 };
    expect(await writer.commit(refused)).toBe(false);
    await eventually(() => told.keys.has('k')).toBe(true);
    expect(await listener.getMany(['k'])).toEqual([{ state: 'absent' }]);
  });

  it('says lost when the connection is killed, then what was missed, resumed, and what comes then', async () => {
    await listen();
    await writer.delete(['before']);
    await eventually(() => told.events).toEqual(['changed before']);
    told.forget();
    const stored = entry(await writer.time());
    // In one go, so that the changes come before the return.
    await Promise.all([
      observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
      writer.put('k', stored, 60_000),
      writer.delete(['l', 'm']),
    ]);
    await eventually(() => told.events).toEqual(['lost', 'changed k', 'changed l m', 'resumed']);
    expect(told.versions).toEqual([stored.version, undefined]);
    await writer.delete(['after']);
    await eventually(() => told.events.at(-1)).toBe('changed after');
  });

  it.each([
    ['the log is lost', () => observer.del('ck:e:changes')],
    ['the log was cut behind it', () => observer.xtrim('ck:e:changes', 'MAXLEN', 0)],
    [
      'too much was missed',
      async () => {
        const many = Array.from({ length: 1_100 }, () => observer.xadd('ck:e:changes', '*', 'm', '["x"]'));
        await Promise.all(many);
      },
    ],
  ])('does not resume where %s: memory is then compared with Redis', async (_name, spoil) => {
    await listen();
    await Promise.all([observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), spoil()]);
    await eventually(() => told.events).toEqual(['lost', 'armed']);
    await writer.delete(['k']);
    await eventually(() => told.events).toEqual(['lost', 'armed', 'changed k']);
    told.forget();
    await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => told.events).toEqual(['lost', 'resumed']);
  });

  it('does without the log where it may not be read', async () => {
    await observer.call('ACL', 'SETUSER', 'nolog', 'reset', 'on', '>secret', '~*', '&*', '+@all', '-xadd');
    const redis = ioredisExecutor(standalone(server.url.replace('redis://', 'redis://nolog:secret@')), {
      commandTimeout: '5s',
    });
    const tier = redisTier({ redis, coherence: 'pubsub' });
    try {
      tier.coherence.start(told);
      await eventually(() => told.events).toEqual(['armed']);
      await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually(() => told.events).toEqual(['armed', 'lost', 'armed']);
    } finally {
      await tier.close();
      await redis.close();
    }
  });

  it('says lost when Redis is killed, and is armed again after a restart', async () => {
    await listen();
    await server.kill('SIGKILL');
    await eventually(() => told.events).toEqual(['lost']);
    await server.restart();
    await eventually(() => told.events).toEqual(['lost', 'armed']);
  });

  it('is not armed while Redis is down at the start, and nothing is thrown', async () => {
    await server.kill('SIGKILL');
    listener.coherence?.start(told);
    await expect(listener.getMany(['k'])).rejects.toThrow();
    expect(told.events).toEqual([]);
    await server.restart();
    await eventually(() => told.events).toEqual(['armed']);
  });

  it('is never armed if the server refuses the channel', async () => {
    await observer.call('ACL', 'SETUSER', 'deaf', 'on', '>secret', '+@all', '~*', 'resetchannels');
    await observer.call('ACL', 'LOG', 'RESET');
    const redis = ioredisExecutor(standalone(server.url.replace('redis://', 'redis://deaf:secret@')), {
      commandTimeout: '5s',
    });
    const deaf = redisTier({ redis, coherence: 'pubsub' });
    try {
      deaf.coherence?.start(told);
      await eventually(async () => String(await observer.call('ACL', 'LOG'))).toContain('ck:c:changes');
      await eventually(() => connections(observer)).toBe(0);
      expect(told.events).toEqual([]);
    } finally {
      await redis.close();
    }
  });

  it('takes a message that it does not understand for a change of everything', async () => {
    await listen();
    for (const message of ['', 'nonsense', '{"a":1}', '[1]', '=', '=abcdefghij']) {
      told.events.length = 0;
      await observer.publish('ck:c:changes', message);
      await eventually(() => told.events).toEqual(['changed all']);
    }
  });

  it('keeps namespaces apart', async () => {
    await listen();
    const elsewhere = redisTier({ redis: mine, namespace: 'elsewhere' });
    await elsewhere.delete(['k']);
    await writer.delete(['after']);
    await eventually(() => told.events).toEqual(['changed after']);
  });

  it('by ttl arms at once, connects nothing and hears nothing', async () => {
    const deaf = redisTier({ redis: other, coherence: 'ttl' });
    deaf.coherence?.start(told);
    expect(told.events).toEqual(['armed']);
    expect(deaf.capabilities.push).toBe(false);
    await observer.ping();
    expect(await connections(observer)).toBe(0);
  });
});
