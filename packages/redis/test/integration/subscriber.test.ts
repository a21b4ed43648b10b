import type { ConnectionState, RedisExecutor, RedisSubscriber } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ioredisExecutor } from '../../src/index.ts';
import { ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

describe.each(ioredis)('a subscriber over $name', ({ standalone }) => {
  let server: Server;
  let observer: Observer;
  let redis: RedisExecutor;
  let subscriber: RedisSubscriber;
  let states: ConnectionState[];

  beforeAll(async () => {
    server = await startRedis({ own: true });
    observer = observe(server.url);
  });
  beforeEach(() => {
    redis = ioredisExecutor(standalone(server.url), { commandTimeout: '5s' });
    subscriber = redis.subscriber();
    states = [];
    subscriber.onState((state) => states.push(state));
  });
  afterEach(() => redis.close());
  afterAll(async () => {
    observer.disconnect();
    await server.stop();
  });

  it('hears what is published after the subscription was confirmed', async () => {
    const heard: string[] = [];
    await subscriber.subscribe('news', (message) => heard.push(message));
    expect(await observer.publish('news', 'ü')).toBe(1);
    await eventually(() => heard).toEqual(['ü']);
    expect(states).toEqual(['ready']);
  });

  it('keeps channels and listeners apart, and ends each on its own', async () => {
    const heard: string[] = [];
    const endFirst = await subscriber.subscribe('a', (message) => heard.push(`first ${message}`));
    await Promise.all([
      subscriber.subscribe('a', (message) => heard.push(`second ${message}`)),
      subscriber.subscribe('b', (message) => heard.push(`b ${message}`)),
    ]);
    await endFirst();
    await observer.publish('a', '1');
    await observer.publish('b', '2');
    await eventually(() => heard).toEqual(['second 1', 'b 2']);
    expect(states).toEqual(['ready']);
  });

  it('says lost when the connection is killed, comes back by itself and hears again', async () => {
    const heard: string[] = [];
    await subscriber.subscribe('a', (message) => heard.push(message));
    await subscriber.subscribe('b', (message) => heard.push(message));
    await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => states).toEqual(['ready', 'lost', 'ready']);
    expect(await observer.publish('a', '1')).toBe(1);
    expect(await observer.publish('b', '2')).toBe(1);
    await eventually(() => heard).toEqual(['1', '2']);
  });

  it('says lost when the server only falls silent, and ready when it is back', async () => {
    await subscriber.subscribe('a', () => {});
    await server.kill('SIGSTOP');
    try {
      await eventually(() => states).toEqual(['ready', 'lost']);
    } finally {
      await server.kill('SIGCONT');
    }
    await eventually(() => states).toEqual(['ready', 'lost', 'ready']);
    expect(await observer.publish('a', '1')).toBeGreaterThan(0);
  });

  it('waits for a Redis that is down at the start', async () => {
    await server.kill('SIGKILL');
    let confirmed = false;
    const subscription = subscriber
      .subscribe('a', () => {})
      .then(() => {
        confirmed = true;
      });
    const late = subscriber.subscribe('b', () => {});
    await expect(redis.command('PING')).rejects.toThrow();
    expect(confirmed).toBe(false);
    await server.restart();
    await Promise.all([subscription, late]);
    await eventually(() => states).toEqual(['ready']);
    expect(await observer.publish('b', 'x')).toBe(1);
  });

  it('tells a refusal of the server to the one who asked, and keeps the other channels', async () => {
    await observer.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '+@all', '~*', 'resetchannels', '&ok');
    const url = server.url.replace('redis://', 'redis://reader:secret@');
    const limited = ioredisExecutor(standalone(url), { commandTimeout: '5s' });
    try {
      const own = limited.subscriber();
      const heard: string[] = [];
      await own.subscribe('ok', (message) => heard.push(message));
      await expect(own.subscribe('forbidden', () => {})).rejects.toThrow(/^NOPERM/);
      await observer.publish('ok', 'still');
      await eventually(() => heard).toEqual(['still']);
    } finally {
      await limited.close();
    }
  });

  it('closes with its executor: waiting subscriptions are rejected and nothing is told any more', async () => {
    await subscriber.subscribe('a', () => {});
    await server.kill('SIGKILL');
    await eventually(() => states).toEqual(['ready', 'lost']);
    const waiting = subscriber.subscribe('b', () => {});
    const rejected = expect(waiting).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    await redis.close();
    await rejected;
    await server.restart();
    expect(states).toEqual(['ready', 'lost']);
  });
});
