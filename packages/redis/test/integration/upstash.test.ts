import { createHash } from 'node:crypto';
import {
  createCache,
  defineKeys,
  newToken,
  type RedisExecutor,
  type RemoteEntry,
  resource,
} from '@cachekit/core';
import { remoteTierSuite } from '@cachekit/core/testing';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis as Upstash } from '@upstash/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { startUpstashServer, type UpstashServer } from '../../src/testing/index.ts';
import { upstashExecutor } from '../../src/upstash/index.ts';
import { eventually } from './eventually.ts';
import { Told } from './told.ts';

function started(): Promise<UpstashServer> {
  return startUpstashServer({ redis: new Redis(inject('redisUrl'), { lazyConnect: true }) });
}

function clientOf(server: UpstashServer, over: object = {}): Upstash {
  return new Upstash({
    url: server.url,
    token: server.token,
    automaticDeserialization: false,
    enableTelemetry: false,
    ...over,
  });
}

remoteTierSuite('redisTier() over @upstash/redis', async () => {
  const server = await started();
  const namespace = uniqueNamespace();
  const executor = (): RedisExecutor => upstashExecutor(clientOf(server), { commandTimeout: '10s' });
  const outside = executor();
  return {
    namespace,
    open: () => redisTier({ redis: executor(), namespace }),
    async write(key, text) {
      await outside.command('SET', key, text);
    },
    async evict(key) {
      await outside.command('DEL', key);
    },
    close: () => server.close(),
  };
});

describe('the server that speaks as Upstash does', () => {
  let server: UpstashServer;
  let client: Upstash;

  beforeAll(async () => {
    server = await started();
    client = new Upstash({ url: server.url, token: server.token, enableTelemetry: false });
  });
  afterAll(() => server.close());

  const key = (): string => `${uniqueNamespace()}:k`;

  it('carries commands, texts of any kind, numbers and nothing, in base64 and plain', async () => {
    for (const responseEncoding of ['base64', false] as const) {
      const plain = clientOf(server, { responseEncoding });
      const name = key();
      for (const text of ['OK', '', 'ü📞\n\u0001', '{"a":[1]}', '00123', '1e3']) {
        expect(await plain.set(name, text)).toBe('OK');
        expect(await plain.get(name)).toBe(text);
        expect(await plain.mget(name, `${name}:none`)).toEqual([text, null]);
      }
      expect(await plain.get(`${name}:none`)).toBeNull();
      expect(await plain.incr(`${name}:n`)).toBe(1);
      expect(await plain.eval('return {1, {ARGV[1], {ARGV[2]}}, false}', [], ['a', 'ü'])).toEqual([
        1,
        ['a', ['ü']],
        null,
      ]);
    }
  });

  it('carries pipelines, of which one command may fail', async () => {
    const name = key();
    const pipeline = client.pipeline();
    pipeline.set(name, 'text').incr(name).get(name);
    const replies = await pipeline.exec({ keepErrors: true });
    expect(replies[0]?.result).toBe('OK');
    expect(replies[1]?.error).toContain('not an integer');
    expect(replies[2]?.result).toBe('text');
  });

  it('carries transactions, which nothing comes between', async () => {
    const name = key();
    const rounds = Array.from({ length: 40 }, () => {
      const multi = client.multi();
      multi.incr(name);
      multi.incr(name);
      return multi.exec<[number, number]>();
    });
    for (const [first, second] of await Promise.all(rounds)) expect(second).toBe(first + 1);
    const wrong = client.multi();
    wrong.set(name, '1');
    await expect(
      fetch(`${server.url}/multi-exec`, {
        method: 'POST',
        headers: { authorization: `Bearer ${server.token}` },
        body: JSON.stringify([['SET', name, 'x'], ['NO-SUCH-COMMAND']]),
      }).then(async (response) => [response.status, await response.json()]),
    ).resolves.toMatchObject([400, { error: expect.stringContaining('unknown command') }]);
    expect(await client.get(name)).toBe(80);
  });

  it('runs scripts with the flag of Upstash that Redis refuses, by their text and by their digest', async () => {
    const name = key();
    for (const flags of ['allow-key-locking', 'allow-key-locking,allow-oom']) {
      const script = `#!lua flags=${flags}\nreturn redis.call('INCR', KEYS[1])`;
      const digest = createHash('sha1').update(script).digest('hex');
      await expect(client.evalsha(digest, [name], [])).rejects.toThrow('NOSCRIPT');
      const before = Number(await client.get(name));
      expect(await client.eval(script, [name], [])).toBe(before + 1);
      expect(await client.evalsha(digest, [name], [])).toBe(before + 2);
    }
  });

  it('takes commands in the path, as curl and browsers send them', async () => {
    const name = encodeURIComponent(key());
    const get = async (path: string, init: RequestInit = {}): Promise<unknown> =>
      (await fetch(`${server.url}${path}`, init)).json();
    const token = `_token=${server.token}`;
    expect(await get(`/set/${name}/a%20b?EX=100&${token}`)).toEqual({ result: 'OK' });
    expect(await get(`/get/${name}?${token}`)).toEqual({ result: 'a b' });
    expect(await get(`/set/${name}?${token}`, { method: 'POST', body: '{"a":1}' })).toEqual({ result: 'OK' });
    expect(await get(`/get/${name}?${token}`)).toEqual({ result: '{"a":1}' });
  });

  it('carries hashes and scores as Redis says them', async () => {
    const name = key();
    expect(await client.hset(name, { a: 1, b: 'two' })).toBe(2);
    const hash = { a: 1, b: 'two' };
    expect(await client.hgetall(name)).toEqual(hash);
    expect(await client.pipeline().hgetall(name).exec()).toEqual([hash]);
    expect(await client.multi().hgetall(name).exec()).toEqual([hash]);
    await client.zadd(`${name}:z`, { score: 1.5, member: 'a' });
    const plain = clientOf(server);
    expect(await plain.zrange(`${name}:z`, 0, -1, { withScores: true })).toEqual(['a', '1.5']);
  });

  it.each(['subscribe', 'PSUBSCRIBE', 'monitor', 'multi', 'select', 'quit', 'reset', 'hello'])(
    'refuses %s, which would change the connection of the others',
    async (command) => {
      const headers = { authorization: `Bearer ${server.token}` };
      for (const [path, body] of [
        [`/${command}/1`, ''],
        ['/', JSON.stringify([command, '1'])],
        ['/pipeline', JSON.stringify([[command, '1']])],
        ['/multi-exec', JSON.stringify([[command, '1']])],
      ] as const) {
        const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body });
        expect(await response.json(), path).toEqual({ error: `ERR ${command} is not there over REST` });
        expect(response.status).toBe(400);
      }
      expect(await client.set(key(), 'text')).toBe('OK');
    },
  );

  it('refuses a request that is too large, as often as it comes', async () => {
    const headers = { authorization: `Bearer ${server.token}` };
    const body = JSON.stringify(['SET', key(), 'x'.repeat(11 * 1024 * 1024)]);
    for (let time = 0; time < 3; time++) {
      const response = await fetch(server.url, { method: 'POST', headers, body });
      expect([response.status, await response.json()]).toEqual([
        400,
        { error: expect.stringContaining('larger') },
      ]);
    }
  });

  it('leaves no connection open where it cannot start, and refuses what is no client', async () => {
    const pattern = new Redis(inject('redisUrl'), { lazyConnect: true });
    const made: Redis[] = [];
    const redis = Object.assign(Object.create(pattern), {
      duplicate(...overrides: Parameters<Redis['duplicate']>) {
        const connection = pattern.duplicate(...overrides);
        made.push(connection);
        return connection;
      },
    });
    const port = Number(new URL(server.url).port);
    await expect(startUpstashServer({ redis, port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(made.map(({ status }) => status).filter((status) => status !== 'end')).toEqual([]);
    for (const options of [{}, { redis: inject('redisUrl') }]) {
      await expect(startUpstashServer(options as never)).rejects.toMatchObject({
        code: 'INVALID_CONFIGURATION',
      });
    }
  });

  it.each(['/', '/get/k', '/pipeline', '/multi-exec', '/nothing'])(
    'refuses %s without the token',
    async (path) => {
      for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: '' }]) {
        const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body: '["PING"]' });
        expect(response.status).toBe(401);
        expect(await response.json()).toEqual({ error: 'Unauthorized' });
      }
    },
  );

  it.each(['', '{', '{}', '[]', '[1]', '[[]]', 'null'])('refuses the body %j', async (body) => {
    for (const path of ['/', '/pipeline', '/multi-exec']) {
      if (body === '[]' && path !== '/') continue;
      const headers = { authorization: `Bearer ${server.token}` };
      const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body });
      expect([response.status, Object.keys((await response.json()) as object)]).toEqual([400, ['error']]);
    }
  });
});

describe('upstashExecutor()', () => {
  let server: UpstashServer;

  beforeAll(async () => {
    server = await started();
  });
  afterAll(() => server.close());

  it('refuses a client that would change what it reads, and options that it does not know', () => {
    const wrong: [unknown, object?][] = [
      [new Upstash({ url: server.url, token: 't' })],
      [clientOf(server), { timeout: 1 }],
      [clientOf(server), { commandTimeout: 0 }],
      [{}],
    ];
    for (const [client, options] of wrong) {
      expect(() => upstashExecutor(client as never, options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
  });

  it('gives up in time, and says that it may still happen', async () => {
    const never = { exec: () => new Promise<never>(() => {}) };
    const redis = upstashExecutor(never, { commandTimeout: 50 });
    await expect(redis.command('GET', 'k')).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE', sent: true });
  });

  it('says what Redis replied, without the data of the command', async () => {
    const redis = upstashExecutor(clientOf(server));
    const secret = 'a phone number';
    const failure = await redis
      .command('SET', 'k', secret, 'NO-SUCH-OPTION')
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'ReplyError', message: expect.stringContaining('syntax') });
    expect(String(failure)).not.toContain(secret);
    const stranger = upstashExecutor(clientOf({ ...server, token: 'wrong' }));
    await expect(stranger.command('GET', 'k')).rejects.toThrow('Unauthorized');
  });

  it('cannot subscribe, and sends nothing once it is closed', async () => {
    const redis = upstashExecutor(clientOf(server));
    expect(() => redis.subscriber()).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_BY_CLIENT' }));
    await redis.close();
    await expect(redis.command('GET', 'k')).rejects.toMatchObject({ sent: false });
  });
});

describe('coherence by log', () => {
  let server: UpstashServer;

  beforeAll(async () => {
    server = await started();
  });
  afterAll(() => server.close());

  function entry(): RemoteEntry {
    const version = newToken(Math.random);
    const freshUntil = Date.now() + 60_000;
    return { kind: 'value', clock: 0, freshUntil, version, loadMs: 0, tags: [], codec: 'j', payload: '1' };
  }

  it('tells what others wrote, and is distrusted when the log was cut, lost, or too long to read', async () => {
    const namespace = uniqueNamespace();
    const redis = upstashExecutor(clientOf(server), { commandTimeout: '5s' });
    const tier = redisTier({ redis, namespace });
    const writer = redisTier({ redis, namespace });
    const told = new Told();
    try {
      expect(tier.coherence.mode).toBe('log');
      await writer.delete(['before']);
      tier.coherence.start(told);
      await eventually(() => told.events).toEqual(['armed']);
      const stored = entry();
      await writer.put('k', stored, 60_000);
      await writer.delete(['k', 'l']);
      await eventually(() => told.events).toEqual(['armed', 'changed k', 'changed k l']);
      expect(told.versions).toEqual([stored.version, undefined]);
      told.forget();
      await redis.command('DEL', `${namespace}:e:changes`);
      await writer.delete(['after']);
      await eventually(() => told.events).toEqual(['lost', 'armed']);
      told.forget();
      for (let batch = 0; batch < 11; batch++) {
        await Promise.all(Array.from({ length: 100 }, () => writer.delete(['many'])));
      }
      await writer.delete(['last']);
      await eventually(() => told.events.includes('changed last') || told.state === 'armed').toBe(true);
    } finally {
      await Promise.all([tier.close(), writer.close()]);
      await redis.close();
    }
  });

  it('hears of processes that track or listen too, and the log is there only while somebody reads it', async () => {
    const namespace = uniqueNamespace();
    const log = `${namespace}:e:changes`;
    const rest = upstashExecutor(clientOf(server), { commandTimeout: '5s' });
    const direct = ioredisExecutor(new Redis(inject('redisUrl'), { lazyConnect: true }), {
      commandTimeout: '5s',
    });
    const told = new Told();
    const reader = redisTier({ redis: rest, namespace });
    const writers = (['tracking', 'pubsub'] as const).map((coherence) =>
      redisTier({ redis: direct, namespace, coherence }),
    );
    try {
      for (const writer of writers) await writer.put('before', entry(), 60_000);
      expect(await direct.command('EXISTS', log)).toBe(0);
      reader.coherence.start(told);
      await eventually(() => told.events).toEqual(['armed']);
      for (const writer of writers) {
        told.forget();
        await writer.delete(['k']);
        await eventually(() => told.events).toEqual(['changed k']);
      }
      expect(await direct.command('PTTL', log)).toBeGreaterThan(3_000_000);
      const back = new Told();
      writers[1]?.coherence.start(back);
      await eventually(() => back.events).toEqual(['armed']);
      await reader.delete(['over rest']);
      await eventually(() => back.events).toEqual(['armed', 'changed over rest']);
    } finally {
      await Promise.all([reader, ...writers].map((tier) => tier.close()));
      await Promise.all([rest.close(), direct.close()]);
    }
  });

  it('says lost while Upstash does not answer, and is armed again', async () => {
    const mortal = await started();
    const redis = upstashExecutor(clientOf(mortal, { retry: false }), { commandTimeout: 500 });
    const tier = redisTier({ redis, namespace: uniqueNamespace() });
    const told = new Told();
    tier.coherence.start(told);
    await eventually(() => told.events).toEqual(['armed']);
    await mortal.close();
    await eventually(() => told.events).toEqual(['armed', 'lost']);
    const again = await startUpstashServer({
      redis: new Redis(inject('redisUrl'), { lazyConnect: true }),
      port: Number(new URL(mortal.url).port),
    });
    await eventually(() => told.events).toEqual(['armed', 'lost', 'resumed']);
    await tier.close();
    await redis.close();
    await again.close();
  });

  it('an invalidation in one process reaches the memory of another within seconds (PBX-5)', async () => {
    const namespace = uniqueNamespace();
    const keys = defineKeys({
      namespace,
      scope: 'tenant',
      resources: { total: resource<number>({ ttl: '1h', tags: ['calls'] }) },
    });
    const open = () => {
      const redis = upstashExecutor(clientOf(server), { commandTimeout: '5s' });
      return createCache({ namespace, remote: redisTier({ redis, namespace }) });
    };
    const here = open();
    const there = open();
    let database = 1;
    const read = (cache: typeof here): Promise<number> =>
      cache.getOrLoad(keys.total({ tenant: 'acme' }), async () => database);
    expect(await read(here)).toBe(1);
    await eventually(async () => {
      await read(there);
      return there.metrics().cache.overall.memoryHits > 0;
    }).toBe(true);
    database = 2;
    await here.invalidateTags(keys.tag('acme', 'calls'));
    expect(await read(here)).toBe(2);
    await eventually(() => read(there)).toBe(2);
    await Promise.all([here.close(), there.close()]);
  });
});
