import { describe, expect, test, vi } from 'vitest';
import { type Codec, createCache, defineKeys, jsonCodec, resource } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys, settled, stats } from './keys.ts';

const value = { name: 'Desk 1', numbers: [1, 2] };
const text = JSON.stringify(value);

/** A cache behind which somebody else already stored the value, and how often it parsed and wrote JSON. */
async function setup(options: { memory?: false; codec?: string } = {}) {
  const clock = new FakeClock();
  const server = new MemoryRemote({ clock });
  const remote = memoryRemoteTier({ remote: server });
  const codec: Codec = {
    id: options.codec ?? jsonCodec.id,
    encode: vi.fn(jsonCodec.encode),
    decode: vi.fn(jsonCodec.decode),
  };
  const fillerCodec = { ...jsonCodec, id: codec.id };
  const filler = createCache({ clock, remote: memoryRemoteTier({ remote: server }), codec: fillerCodec });
  await filler.set(devices, value);
  const cache = createCache({ clock, remote, codec, ...(options.memory === false && { memory: false }) });
  const load = vi.fn(async (): Promise<unknown> => ({ name: 'new' }));
  return { clock, server, remote, codec, filler, cache, load };
}

describe.each([
  ['getRaw()', (cache: ReturnType<typeof createCache>) => cache.getRaw(devices)],
  ['readRaw()', (cache: ReturnType<typeof createCache>) => cache.readRaw(devices, async () => 'loaded')],
] as const)('%s', (_name, call) => {
  test('without memory hands on what the remote tier holds, and nobody parses it', async () => {
    const { cache, codec, clock } = await setup({ memory: false });
    await clock.advance(1_500);
    expect(await call(cache)).toMatchObject({
      text,
      state: 'hit',
      ttlMs: 300_000,
      ageMs: expect.closeTo(1_500, 1),
    });
    expect(codec.decode).not.toHaveBeenCalled();
    expect(codec.encode).not.toHaveBeenCalled();
    expect(cache.metrics().cache.devices).toMatchObject({ hits: 1, misses: 0, remoteHits: 1 });
  });

  test('with memory fills it, and makes the text of a value once', async () => {
    const { cache, codec } = await setup();
    const stringify = vi.spyOn(JSON, 'stringify');
    for (let read = 0; read < 5; read++) expect((await call(cache))?.text).toBe(text);
    expect(codec.decode).toHaveBeenCalledTimes(1);
    expect(stringify.mock.calls.length).toBeLessThanOrEqual(1);
    stringify.mockRestore();
    expect(cache.metrics().cache.devices).toMatchObject({ memoryHits: 4, remoteHits: 1 });
  });

  test('gives JSON whatever the codec', async () => {
    const { cache, codec } = await setup({ memory: false, codec: 'M' });
    expect(await call(cache)).toMatchObject({ text, state: 'hit' });
    expect(codec.decode).toHaveBeenCalledTimes(1);
  });

  test('never hands on what was invalidated', async () => {
    const { cache, filler } = await setup({ memory: false });
    await filler.invalidateTags(keys.tag('acme', 'devices'));
    expect((await call(cache))?.text).not.toBe(text);
  });

  test('parses what a schema has to see', async () => {
    const { server, clock } = await setup();
    const upper = resource<unknown>({
      tags: ['devices'],
      schema: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (stored) => ({ value: { ...(stored as object), checked: true } }),
        },
      },
    });
    const checked = defineKeys({ scope: 'tenant', resources: { devices: upper } });
    const cache = createCache({ clock, remote: memoryRemoteTier({ remote: server }), memory: false });
    const key = checked.devices({ tenant: 'acme' });
    const raw = await cache.getRaw(key);
    expect(JSON.parse(raw?.text ?? '')).toEqual({ ...value, checked: true });
    expect(JSON.parse((await cache.readRaw(key, async () => 1)).text)).toMatchObject({ checked: true });
  });
});

describe('getRaw()', () => {
  test('loads nothing and says so', async () => {
    const { cache } = await setup({ memory: false });
    expect(await cache.getRaw(stats)).toBeUndefined();
    expect(cache.metrics().cache.stats).toMatchObject({ misses: 1, loads: 0 });
  });

  test('knows a stored "does not exist"', async () => {
    const { cache, filler } = await setup({ memory: false });
    await filler.set(stats, null);
    expect((await cache.getRaw(stats))?.text).toBe('null');
  });

  test('gives nothing while the tier does not answer, and nothing older than the minimum clock', async () => {
    const { cache, filler, remote } = await setup({ memory: false });
    const clock = await filler.invalidateTags(keys.tag('acme', 'unrelated'));
    expect(await cache.getRaw(devices, { minClock: clock })).toBeUndefined();
    remote.fail(new Error('gone'));
    expect(await cache.getRaw(devices)).toBeUndefined();
  });
});

describe('readRaw()', () => {
  test('loads what is not there, once for all who ask, and counts each request once', async () => {
    const { cache, load } = await setup({ memory: false });
    const texts = await Promise.all([1, 2, 3].map(() => cache.readRaw(stats, load)));
    expect(texts.map((raw) => raw.text)).toEqual(Array(3).fill('{"name":"new"}'));
    expect(load).toHaveBeenCalledTimes(1);
    expect(cache.metrics().cache.stats).toMatchObject({ hits: 0, misses: 3, totalRequests: 3 });
  });

  test('parses nothing either for a caller that may leave, or has a policy of its own', async () => {
    const { cache, load, codec } = await setup({ memory: false });
    const { signal } = new AbortController();
    expect((await cache.readRaw(devices, load, { signal })).text).toBe(text);
    expect((await cache.readRaw(devices, load, { ttl: '1s' })).text).toBe(text);
    expect(codec.decode).not.toHaveBeenCalled();
    expect(load).not.toHaveBeenCalled();
  });

  test('asks the tier once for all who ask at one time', async () => {
    const { cache, load, remote } = await setup({ memory: false });
    await cache.getRaw(devices);
    const before = remote.calls.getMany ?? 0;
    const texts = await Promise.all(Array.from({ length: 50 }, () => cache.readRaw(devices, load)));
    expect(texts.every((raw) => raw.text === text)).toBe(true);
    expect(remote.calls.getMany).toBe(before + 1);
    await cache.getRaw(devices);
    expect(remote.calls.getMany).toBe(before + 2);
  });

  test('joins no read that an invalidation of this process overtook', async () => {
    const { cache, load, remote } = await setup({ memory: false });
    const answer = remote.hold('getMany');
    const early = cache.readRaw(devices, load);
    await settled();
    await cache.invalidate(devices);
    const late = cache.readRaw(devices, load);
    await settled();
    answer();
    expect((await late).text).toBe('{"name":"new"}');
    expect((await early).text).toBe('{"name":"new"}');
  });

  test('joins no read that a change of another process overtook', async () => {
    const { cache, load, remote, filler } = await setup({ memory: false });
    await cache.getRaw(devices);
    const answer = remote.hold('getMany');
    const early = cache.readRaw(devices, load);
    await settled();
    await filler.set(devices, 'changed');
    const late = cache.readRaw(devices, load);
    await settled();
    answer();
    expect((await late).text).toBe('"changed"');
    expect([text, '"changed"']).toContain((await early).text);
  });

  test('serves a stale value and refreshes behind it', async () => {
    const { cache, load, clock, filler } = await setup({ memory: false });
    await filler.set(stats, value);
    await clock.advance(70_000);
    expect(await cache.readRaw(stats, load)).toMatchObject({ text, state: 'stale' });
    await settled();
    expect(await cache.readRaw(stats, load)).toMatchObject({ text: '{"name":"new"}', state: 'hit' });
  });

  test('answers by its loader while the tier does not', async () => {
    const { cache, load, remote } = await setup({ memory: false });
    remote.fail(new Error('gone'));
    expect(await cache.readRaw(devices, load)).toMatchObject({ text: '{"name":"new"}', state: 'miss' });
  });
});
