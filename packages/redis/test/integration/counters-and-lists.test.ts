import { type RedisExecutor, tenantPrefix } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createCounters, createLists, ioredisExecutor, type Lists } from '../../src/index.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';
import { onEveryServer } from './on-every-server.ts';

const hour = 3_600_000;
const hostile: readonly (string | readonly string[])[] = [
  'a:b',
  ['a', 'b'],
  ['a:b', 'c'],
  ['a', 'b:c'],
  '{a}',
  '*',
  'ü\n',
  ['a', 'b', 'c'],
];

onEveryServer('createCounters()', (open) => {
  let redis: RedisExecutor;
  let namespace: string;

  beforeEach(() => {
    redis = open();
    namespace = uniqueNamespace();
  });

  it('all processes count together, and nothing is lost (PBX-15)', async () => {
    const here = createCounters({ redis, namespace, window: '1h' });
    const there = createCounters({ redis: open(), namespace, window: '1h' });
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        (index % 2 === 0 ? here : there).add('acme', ['calls', 'answered']),
      ),
    );
    await there.add('acme', ['calls', 'answered'], 5);
    await there.add('acme', ['calls', 'answered'], -2);
    const { total, series } = await here.read('acme', ['calls', 'answered']);
    expect(total).toBe(103);
    expect(series).toHaveLength(60);
    expect(series.reduce((sum, { count }) => sum + count, 0)).toBe(103);
    expect((series.at(-1)?.at.getTime() as number) - (series[0]?.at.getTime() as number)).toBe(59 * 60_000);
    expect(await here.readMany('acme', [['calls', 'answered'], 'nothing'])).toMatchObject([
      { total: 103 },
      { total: 0 },
    ]);
    expect(await here.readMany('acme', [])).toEqual([]);
  });

  it('what is over no longer counts, and is not kept', async () => {
    const counters = createCounters({ redis, namespace, window: '1h' });
    const key = `${tenantPrefix(namespace, 'n', 'acme')}count:60000x60:calls`;
    await counters.add('acme', 'calls', 3);
    const [bucket] = (await redis.command('HKEYS', key)) as string[];
    const before = (minutes: number): string => String(Number(bucket) - minutes);
    await redis.command('HSET', key, before(30), 10, before(59), 100, before(60), 1_000, before(200), 1_000);
    // A minute may begin while this runs.
    const { total } = await counters.read('acme', 'calls');
    expect([113, 13]).toContain(total);
    await redis.command('HDEL', key, bucket as string);
    await counters.add('acme', 'calls', 1);
    const kept = (await redis.command('HKEYS', key)) as string[];
    expect(kept).not.toContain(before(60));
    expect(kept).not.toContain(before(200));
    const left = (await redis.command('PTTL', key)) as number;
    expect(left).toBeGreaterThan(hour - 120_000);
    expect(left).toBeLessThanOrEqual(hour);
  });

  it('a short window passes by itself', async () => {
    const counters = createCounters({ redis, namespace, window: 200, buckets: 4 });
    await counters.add('acme', 'calls');
    await eventually(async () => (await counters.read('acme', 'calls')).total).toBe(0);
    await eventually(async () => {
      const keys: string[] = [];
      for await (const page of redis.scan(`${namespace}:`)) keys.push(...page);
      return keys;
    }).toEqual([]);
  });

  it('tenants, names and windows are kept apart', async () => {
    const counters = createCounters({ redis, namespace, window: '1h' });
    const daily = createCounters({ redis, namespace, window: '1d', buckets: 24 });
    for (const [index, name] of hostile.entries()) {
      await counters.add('acme', name, index + 1);
      await counters.add('acme:x', name, 100);
      await daily.add('acme', name, 1_000);
    }
    for (const [index, name] of hostile.entries()) {
      expect((await counters.read('acme', name)).total).toBe(index + 1);
    }
  });
});

onEveryServer('createLists()', (open) => {
  let redis: RedisExecutor;
  let namespace: string;
  let lists: Lists<{ n: number }>;

  beforeEach(() => {
    redis = open();
    namespace = uniqueNamespace();
    lists = createLists({ redis, namespace, ttl: '30m' });
  });
  const keyOf = (name: string): string => `${tenantPrefix(namespace, 'n', 'acme')}list:${name}`;

  it('the last result of each chat and tool is there for all instances (CRM-5)', async () => {
    const there = createLists<{ n: number }>({ redis: open(), namespace, ttl: '30m' });
    expect(await lists.last('acme', ['chat-7', 'search'])).toBeUndefined();
    await lists.append('acme', ['chat-7', 'search'], { n: 1 });
    await there.append('acme', ['chat-7', 'search'], { n: 2 });
    await lists.append('acme', ['chat-7', 'book'], { n: 3 });
    await lists.append('acme', ['chat-8', 'search'], { n: 4 });
    expect((await there.last('acme', ['chat-7', 'search']))?.value).toEqual({ n: 2 });
    expect((await there.recent('acme', ['chat-7', 'search'])).map(({ value }) => value.n)).toEqual([2, 1]);
    expect((await lists.recent('acme', ['chat-7', 'search'], 1)).map(({ value }) => value.n)).toEqual([2]);
    expect((await lists.last('acme', ['chat-7', 'book']))?.value).toEqual({ n: 3 });
    expect(await lists.clear('acme', ['chat-7', 'search'])).toBe(true);
    expect(await lists.clear('acme', ['chat-7', 'search'])).toBe(false);
    expect(await there.last('acme', ['chat-7', 'search'])).toBeUndefined();
  });

  it('a result is gone after 30 minutes, also when others follow it (CRM-5)', async () => {
    await lists.append('acme', 'search', { n: 1 });
    await lists.append('acme', 'search', { n: 2 });
    const left = (await redis.command('PTTL', keyOf('search'))) as number;
    expect(left).toBeGreaterThan(29 * 60_000);
    expect(left).toBeLessThanOrEqual(30 * 60_000);
    // As if the first had been appended half an hour earlier.
    const first = String(await redis.command('LINDEX', keyOf('search'), 0));
    await redis.command(
      'LSET',
      keyOf('search'),
      0,
      `${Number(first.slice(0, 13)) - 30 * 60_000}${first.slice(13)}`,
    );
    expect((await lists.recent('acme', 'search')).map(({ value }) => value.n)).toEqual([2]);
    const brief = createLists<number>({ redis, namespace, ttl: 100 });
    await brief.append('acme', 'brief', 1);
    await eventually(() => brief.last('acme', 'brief')).toBeUndefined();
    await eventually(() => redis.command('EXISTS', keyOf('brief'))).toBe(0);
  });

  it('only so many are kept, however many append at the same time', async () => {
    const short = createLists<number>({ redis, namespace, ttl: '30m', length: 5 });
    await Promise.all(Array.from({ length: 50 }, (_, index) => short.append('acme', 'jobs', index)));
    const kept = await short.recent('acme', 'jobs');
    expect(kept).toHaveLength(5);
    expect(new Set(kept.map(({ value }) => value)).size).toBe(5);
    await short.append('acme', 'jobs', 99);
    expect((await short.last('acme', 'jobs'))?.value).toBe(99);
    expect(await redis.command('LLEN', keyOf('jobs'))).toBe(5);
  });

  it('tenants and names are kept apart', async () => {
    for (const [n, name] of hostile.entries()) {
      await lists.append('acme', name, { n });
      await lists.append('umbrella', name, { n: -1 });
    }
    for (const [n, name] of hostile.entries()) expect((await lists.last('acme', name))?.value).toEqual({ n });
  });
});

describe('createCounters() and createLists()', () => {
  const [client] = ioredis as [(typeof ioredis)[0] & object];

  it('refuse options and arguments that are none, before Redis is asked', async () => {
    const redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '5s' });
    for (const options of [
      { redis },
      { redis, window: 0 },
      { redis, window: '1h', buckets: 0 },
      { redis, window: '1h', buckets: 7.5 },
      { redis, window: 100, buckets: 60 },
      { redis, window: '400d' },
      { redis, window: '1h', size: 1 },
    ]) {
      expect(() => createCounters(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    for (const options of [
      { redis },
      { redis, ttl: 0 },
      { redis, ttl: '1m', length: 0 },
      { redis, ttl: '1m', max: 1 },
    ]) {
      expect(() => createLists(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    const counters = createCounters({ redis, window: '1h' });
    const lists = createLists<unknown>({ redis, ttl: '1m' });
    for (const name of ['', [], [''], ['a', ''], 'x'.repeat(513), undefined, [7]]) {
      await expect(counters.add('acme', name as string)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(lists.append('acme', name as string, 1)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    for (const amount of [Number.NaN, 1.5, Number.POSITIVE_INFINITY]) {
      await expect(counters.add('acme', 'a', amount)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    await expect(lists.append('acme', 'a', undefined)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const count of [0, 1.5, 10_001]) {
      await expect(lists.recent('acme', 'a', count)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    await redis.close();
  });
});
