import { describe, expect, test, vi } from 'vitest';
import { metricsHandler, withCache } from '../src/http/index.ts';
import { createCache, isCacheKitError, type LoadContext } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, keys, settled, stats } from './keys.ts';
import { setups } from './setups.ts';

const get = (headers: Record<string, string> = {}, method = 'GET') =>
  new Request('http://localhost/api/devices', { method, headers });

function setup() {
  const clock = new FakeClock();
  const cache = createCache({ clock });
  let version = 0;
  const load = vi.fn(async () => ({ version: ++version }));
  return { clock, cache, load, handler: withCache(cache, { key: () => devices, load }) };
}

describe('withCache()', () => {
  test('RC-7 says MISS and then HIT, and how long a browser may keep it', async () => {
    const { handler, clock } = setup();
    const first = await handler(get());
    expect(first.status).toBe(200);
    expect(await first.json()).toEqual({ version: 1 });
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'x-cache': 'MISS',
      'cache-control': 'private, max-age=300, stale-while-revalidate=150',
      age: '0',
      vary: 'X-CacheKit-Clock, Cookie, Authorization',
      'content-type': 'application/json',
    });
    await clock.advance(12_345);
    const second = await handler(get());
    expect(await second.json()).toEqual({ version: 1 });
    expect(second.headers.get('X-Cache')).toBe('HIT');
    expect(second.headers.get('Age')).toBe('12');
  });

  test('RC-7 lets a browser keep "does not exist" no longer than the cache does', async () => {
    const { cache } = setup();
    const handler = withCache(cache, { key: () => devices, load: async () => null });
    const response = await handler(get());
    expect(await response.json()).toBeNull();
    expect(response.headers.get('Cache-Control')).toBe('private, max-age=30, stale-while-revalidate=15');
  });

  describe.each(setups)('RC-7 a browser keeps what a loader gave a ttl of its own %s', (_name, make) => {
    const bodies = {
      'its text': {},
      'a response of its own': { respond: (value: unknown) => Response.json(value) },
    };
    const kept = async (handler: (request: Request) => Promise<Response>) => {
      const { headers } = await handler(get());
      return `${headers.get('X-Cache')} ${headers.get('Age')} ${headers.get('Cache-Control')}`;
    };

    test.each(Object.entries(bodies))('no longer than the cache does: %s', async (_body, respond) => {
      for (const memory of [undefined, false] as const) {
        const { cache, clock, tier } = make(memory === false ? { memory } : {});
        const load = vi.fn(async (_request: Request, { set }: LoadContext<unknown>) => {
          set({ ttl: '10s' });
          return 'a value' as string | null;
        });
        const handler = withCache(cache, { key: () => stats, load, ...respond });
        expect(await kept(handler)).toBe('MISS 0 private, max-age=10, stale-while-revalidate=5');
        await clock.advance(4_000);
        if (memory !== false || tier !== undefined) {
          expect(await kept(handler)).toBe('HIT 4 private, max-age=10, stale-while-revalidate=5');
          await clock.advance(8_000);
          expect(await kept(handler)).toBe('STALE 12 private, max-age=10, stale-while-revalidate=5');
          await settled();
        }
        await cache.invalidate(stats);
        load.mockImplementation(async (_request, { set }) => {
          set({ ttl: '10s', negativeTtl: '4s' });
          return null;
        });
        expect(await kept(handler)).toBe('MISS 0 private, max-age=4, stale-while-revalidate=2');
      }
    });

    test('as long as ever, however long the load took, of which Age tells', async () => {
      const { cache, clock } = make();
      const { load, began } = heldLoader();
      const handler = withCache(cache, { key: () => devices, load });
      const response = kept(handler);
      await settled();
      await clock.advance(2_000);
      began[0]?.resolve('slow');
      expect(await response).toBe('MISS 2 private, max-age=300, stale-while-revalidate=150');
      await clock.advance(1_000);
      expect(await kept(handler)).toBe('HIT 3 private, max-age=300, stale-while-revalidate=150');
    });

    test('nor at all if an invalidation overtook the load', async () => {
      const { cache } = make();
      const { load, began } = heldLoader();
      const handler = withCache(cache, { key: () => devices, load });
      const response = kept(handler);
      await settled();
      await cache.invalidate(devices);
      began[0]?.resolve('old');
      expect(await response).toBe('MISS 0 private, max-age=0, stale-while-revalidate=0');
    });

    test('as long as set() said, and after a load that found it unchanged for another ttl', async () => {
      const { cache, clock } = make();
      await cache.set(stats, 'set', { ttl: '20s' });
      const handler = withCache(cache, {
        key: () => stats,
        load: async (_request, { notModified }) => notModified(),
      });
      await clock.advance(15_000);
      expect(await kept(handler)).toBe('HIT 15 private, max-age=20, stale-while-revalidate=10');
      await clock.advance(15_000);
      expect(await kept(handler)).toBe('STALE 30 private, max-age=20, stale-while-revalidate=10');
      await settled();
      const { headers } = await handler(get());
      const lifetime = Number(/max-age=(\d+)/.exec(headers.get('Cache-Control') ?? '')?.[1]);
      expect([headers.get('X-Cache'), lifetime - Number(headers.get('Age'))]).toEqual(['HIT', 60]);
    });
  });

  test('RC-7 lets a browser keep what another process loaded no longer than that one does', async () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const handlers = [undefined, undefined, false].map((memory) => {
      const cache = createCache({
        clock,
        remote: memoryRemoteTier({ remote }),
        ...(memory === false && { memory }),
      });
      return withCache(cache, {
        key: () => devices,
        load: async (_request, { set }) => {
          set({ ttl: '7s' });
          return 1;
        },
      });
    });
    const said: string[] = [];
    for (const handler of handlers) {
      const { headers } = await handler(get());
      said.push(`${headers.get('X-Cache')} ${headers.get('Age')} ${headers.get('Cache-Control')}`);
      await clock.advance(1_000);
    }
    expect(said).toEqual([
      'MISS 0 private, max-age=7, stale-while-revalidate=3',
      'HIT 1 private, max-age=7, stale-while-revalidate=3',
      'HIT 2 private, max-age=7, stale-while-revalidate=3',
    ]);
  });

  test('RC-7 lets a browser keep what is loaded while the cache is switched off as long as ever', async () => {
    const { cache, handler } = setup();
    cache.switchOff();
    expect((await handler(get())).headers.get('Cache-Control')).toMatch(/max-age=300,/);
    const missing = withCache(cache, { key: () => devices, load: async () => null });
    expect((await missing(get())).headers.get('Cache-Control')).toMatch(/max-age=30,/);
  });

  test('RC-7 says STALE for what is served while it is refreshed', async () => {
    const { cache, clock } = setup();
    const handler = withCache(cache, { key: () => stats, load: async () => 1 });
    await handler(get());
    await clock.advance(70_000);
    expect((await handler(get())).headers.get('X-Cache')).toBe('STALE');
    await settled();
    expect((await handler(get())).headers.get('X-Cache')).toBe('HIT');
  });

  test('answers a client that heard of an invalidation with nothing older', async () => {
    const { handler, cache } = setup();
    await handler(get());
    const clock = await cache.invalidateTags(keys.tag('acme', 'calls'));
    const response = await handler(get({ 'X-CacheKit-Clock': String(clock) }));
    expect(response.headers.get('X-Cache')).toBe('MISS');
    expect(await response.json()).toEqual({ version: 2 });
    expect((await handler(get({ 'X-CacheKit-Clock': String(clock) }))).headers.get('X-Cache')).toBe('HIT');
  });

  test.each([
    '',
    'abc',
    '-1',
    '1e9',
    '1.5',
    ' 5',
    '99999999999999999',
    '9999999999999999',
    '4102444800000000',
  ])('ignores the clock %j', async (clock) => {
    const { handler } = setup();
    await handler(get());
    expect((await handler(get({ 'X-CacheKit-Clock': clock }))).headers.get('X-Cache')).toBe('HIT');
  });

  test('answers a client that holds the value already with 304 and no body', async () => {
    const { handler, cache } = setup();
    const first = await handler(get());
    const etag = first.headers.get('ETag') ?? '';
    expect(etag).toMatch(/^W\/"[0-9a-z]+"$/);
    for (const held of [etag, `"other", ${etag}`, etag.slice(2), '*']) {
      const response = await handler(get({ 'If-None-Match': held }));
      expect(response.status).toBe(304);
      expect(await response.text()).toBe('');
      expect(Object.fromEntries(response.headers)).toEqual({
        etag,
        'x-cache': 'HIT',
        age: '0',
        'cache-control': 'private, max-age=300, stale-while-revalidate=150',
        vary: 'X-CacheKit-Clock, Cookie, Authorization',
      });
    }
    await cache.invalidate(devices);
    const second = await handler(get({ 'If-None-Match': etag }));
    expect(second.status).toBe(200);
    expect(await second.json()).toEqual({ version: 2 });
    expect(second.headers.get('ETag')).not.toBe(etag);
  });

  test.each(['', '"other"', 'W/"other"', 'garbage', '"'])('sends the value for the held %j', async (held) => {
    const { handler } = setup();
    await handler(get());
    expect((await handler(get({ 'If-None-Match': held }))).status).toBe(200);
  });

  test('gives the same tag in every process and from every tier', async () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const tags: unknown[] = [];
    for (const memory of [undefined, false] as const) {
      const cache = createCache({
        clock,
        remote: memoryRemoteTier({ remote }),
        ...(memory === false && { memory }),
      });
      const handler = withCache(cache, { key: () => devices, load: async () => ({ a: 1 }) });
      for (let request = 0; request < 3; request++) {
        const response = await handler(get());
        expect(await response.text()).toBe('{"a":1}');
        tags.push(response.headers.get('ETag'));
      }
    }
    expect(new Set(tags).size).toBe(1);
  });

  test('gives the same tag to the same content, also when it was loaded again', async () => {
    const { cache } = setup();
    const handler = withCache(cache, { key: () => devices, load: async () => ({ a: 1 }) });
    const etag = (await handler(get())).headers.get('ETag') ?? '';
    await cache.invalidate(devices);
    expect((await handler(get({ 'If-None-Match': etag }))).status).toBe(304);
  });

  test('gives another tag to other content, also where two processes without a store load at the same moment', async () => {
    const clock = new FakeClock();
    const tags = new Set<unknown>();
    for (const value of [
      'a',
      'b',
      'ab',
      'ba',
      '',
      'é',
      0,
      10,
      { a: 1 },
      { a: 2 },
      { b: 1 },
      [1, 2],
      [2, 1],
    ]) {
      const handler = withCache(createCache({ clock }), { key: () => devices, load: async () => value });
      tags.add((await handler(get())).headers.get('ETag'));
    }
    expect(tags.size).toBe(13);
  });

  test('takes the tag that a response brings', async () => {
    const { cache } = setup();
    const handler = withCache(cache, {
      key: () => devices,
      load: async () => 'x',
      respond: (value) => new Response(value as string, { headers: { ETag: '"mine"' } }),
    });
    expect((await handler(get())).headers.get('ETag')).toBe('"mine"');
    expect((await handler(get({ 'If-None-Match': '"mine"' }))).status).toBe(304);
  });

  test('hands on what the framework calls it with', async () => {
    const { cache } = setup();
    const handler = withCache(cache, {
      key: (_request, { params }: { params: { limit: number } }) =>
        keys.calls({ tenant: 'acme', limit: params.limit }),
      load: async (_request, _loading, { params }: { params: { limit: number } }) => params.limit,
    });
    expect(await (await handler(get(), { params: { limit: 7 } })).json()).toBe(7);
    expect(await (await handler(get(), { params: { limit: 8 } })).json()).toBe(8);
  });

  test('passes the error of a loader, a key or a response on unchanged', async () => {
    const { cache } = setup();
    const failure = new Error('no database');
    const fail = () => {
      throw failure;
    };
    const key = () => devices;
    const load = async () => 1;
    await expect(withCache(cache, { key, load: fail })(get())).rejects.toBe(failure);
    await expect(withCache(cache, { key: fail, load })(get())).rejects.toBe(failure);
    await expect(withCache(cache, { key, load, respond: fail })(get())).rejects.toBe(failure);
  });

  test('lets the response be made, and keeps what it says itself', async () => {
    const { cache } = setup();
    const handler = withCache(cache, {
      key: () => devices,
      load: async () => null,
      respond: (value) =>
        value === null
          ? new Response('none', { status: 404, headers: { Vary: 'Accept' } })
          : Response.json(value),
    });
    const missing = await handler(get());
    expect(missing.status).toBe(404);
    expect(await missing.text()).toBe('none');
    expect(missing.headers.get('Vary')).toBe('Accept, X-CacheKit-Clock');
    expect(missing.headers.get('Cache-Control')).toBeNull();
    const moved = withCache(cache, {
      key: () => stats,
      load: async () => 1,
      respond: () => Response.redirect('http://localhost/', 302),
    });
    expect((await moved(get())).headers.get('Location')).toBe('http://localhost/');
    const own = withCache(cache, {
      key: () => stats,
      load: async () => 1,
      respond: () => new Response('x', { headers: { 'Cache-Control': 'no-store' } }),
    });
    expect((await own(get())).headers.get('Cache-Control')).toBe('no-store');
    expect((await own(get())).headers.get('Vary')).toBe('X-CacheKit-Clock');
  });

  test('ends a body that is made and not sent, so that what it reads from is closed', async () => {
    const { cache } = setup();
    const cancelled = vi.fn();
    const handler = withCache(cache, {
      key: () => devices,
      load: async () => 1,
      respond: () =>
        new Response(new ReadableStream({ cancel: cancelled }), {
          headers: { ETag: '"1"', 'X-Own': 'kept' },
        }),
    });
    const held = await handler(get({ 'If-None-Match': '"1"' }));
    expect([held.status, held.body, held.headers.get('X-Own')]).toEqual([304, null, 'kept']);
    expect(cancelled).toHaveBeenCalledTimes(1);
    const head = await handler(get({}, 'HEAD'));
    expect([head.status, head.body, head.headers.get('X-Own')]).toEqual([200, null, 'kept']);
    expect(cancelled).toHaveBeenCalledTimes(2);
  });

  test('answers HEAD without a body and refuses other methods', async () => {
    const { handler, load } = setup();
    const head = await handler(get({}, 'HEAD'));
    expect(head.headers.get('X-Cache')).toBe('MISS');
    expect(await head.text()).toBe('');
    const post = await handler(get({}, 'POST'));
    expect(post.status).toBe(405);
    expect(post.headers.get('Allow')).toBe('GET, HEAD');
    expect(load).toHaveBeenCalledTimes(1);
  });

  test('aborts the load when the last client has gone', async () => {
    const { cache } = setup();
    const gone = new AbortController();
    let signal: AbortSignal | undefined;
    const handler = withCache(cache, {
      key: () => devices,
      load: (_request, context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
    });
    const response = handler(new Request('http://localhost/', { signal: gone.signal }));
    await vi.waitFor(() => expect(signal).toBeDefined());
    gone.abort(new Error('gone'));
    await expect(response).rejects.toThrow('gone');
    expect(signal?.aborted).toBe(true);
  });

  test('refuses options that no handler can be made of', () => {
    const { cache } = setup();
    const make = withCache as unknown as (...all: unknown[]) => unknown;
    for (const options of [
      {},
      { key: () => devices },
      { key: 1, load: () => 1 },
      { key: () => 1, load: () => 1, ttl: 1 },
    ]) {
      expect(() => make(cache, options)).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
      );
    }
  });
});

describe('metricsHandler()', () => {
  test('CRM-6 gives the metrics and resets them', async () => {
    const { cache, handler } = setup();
    const metrics = metricsHandler(cache);
    for (let request = 0; request < 4; request++) await handler(get());
    expect(await (await metrics(get())).json()).toMatchObject({
      cache: {
        devices: { hits: 3, misses: 1, hitRate: 75, totalRequests: 4 },
        overall: { hits: 3, misses: 1, hitRate: 75, totalRequests: 4 },
      },
    });
    expect((await metrics(get({}, 'DELETE'))).status).toBe(204);
    expect(await (await metrics(get())).json()).toMatchObject({ cache: { overall: { totalRequests: 0 } } });
    expect((await metrics(get({}, 'PUT'))).status).toBe(405);
  });
});
