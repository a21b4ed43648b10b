import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CacheKey,
  createCache,
  defineKeys,
  isCacheKitError,
  namespaceTag,
  resource,
} from '../src/index.ts';

const keys = defineKeys({
  scope: 'tenant',
  resources: {
    devices: resource<string[]>({ ttl: '5m', tags: ['devices'] }),
    recentCalls: resource<string[], { limit?: number; text?: string }>({ ttl: '1m', tags: ['calls'] }),
    call: resource<string, { id: string }>({ tags: ({ id }) => ['calls', `call:${id}`] }),
    constructor: resource<string>(),
  },
});
const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));
const configuration = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION'));

describe('defineKeys()', () => {
  test('RC-3 makes keys of a tenant, with its tags', () => {
    expect(keys.devices({ tenant: 'acme' })).toMatchObject({
      wire: 'ck:c:tenant:{acme}:devices',
      tags: ['ck:c:tenant:{acme}:#devices', 'ck:c:tenant:{acme}:#*'],
      resource: { name: 'devices', namespace: 'ck', policy: { ttl: '5m' } },
    });
    expect(keys.call({ tenant: 'acme', id: '7' }).tags).toEqual([
      'ck:c:tenant:{acme}:#calls',
      'ck:c:tenant:{acme}:#call%3A7',
      'ck:c:tenant:{acme}:#*',
    ]);
    expect(keys.tag('acme', 'calls').wire).toBe('ck:c:tenant:{acme}:#calls');
    expect(keys.constructor({ tenant: 'acme' }).wire).toBe('ck:c:tenant:{acme}:constructor');
  });

  test('PBX-7 gives one key per set of parameters, in any order', () => {
    const key = keys.recentCalls({ tenant: 'acme', limit: 20, text: 'x' });
    expect(keys.recentCalls({ text: 'x', limit: 20, tenant: 'acme' }).wire).toBe(key.wire);
    expect(keys.recentCalls({ tenant: 'acme', limit: 21, text: 'x' }).wire).not.toBe(key.wire);
    expect(keys.recentCalls({ tenant: 'acme' }).wire).toBe('ck:c:tenant:{acme}:recentCalls');
  });

  test('RC-3 drops a tenant in one call, whatever its entries are tagged with', async () => {
    const cache = createCache();
    const all = [
      keys.devices({ tenant: 'acme' }),
      keys.recentCalls({ tenant: 'acme', limit: 20 }),
      keys.call({ tenant: 'acme', id: '7' }),
      keys.constructor({ tenant: 'acme' }),
    ];
    const others = [keys.constructor({ tenant: 'acme2' }), keys.devices({ tenant: '*' })];
    for (const key of [...all, ...others]) await cache.set(key as CacheKey, 'x');
    await cache.invalidateTags(keys.all('acme'));
    const load = async () => 'new';
    for (const key of all) expect((await cache.read(key as CacheKey, load)).state).toBe('miss');
    for (const key of others) expect((await cache.read(key as CacheKey, load)).state).toBe('hit');
  });

  test('gives the key that it made before, frozen, and never the one of other parameters', () => {
    const key = keys.recentCalls({ tenant: 'acme', limit: 20 });
    expect(keys.recentCalls({ tenant: 'acme', limit: 20 })).toBe(key);
    expect(keys.devices({ tenant: 'acme' })).toBe(keys.devices({ tenant: 'acme' }));
    expect(Object.isFrozen(key) && Object.isFrozen(key.tags)).toBe(true);

    const loose = defineKeys({ scope: 'tenant', resources: { page: resource<string, object>() } });
    const page = loose.page as unknown as (params: Record<string, unknown>) => CacheKey;
    const value = fc.oneof(
      fc.constantFrom(1, '1', 'a', true, 'true', 0, -0, Number.NaN, undefined, null, 'a:1', ',1:b=1'),
      fc.string({ unit: fc.constantFrom('a', 'b', ':', '=', ',', '1', '2') }),
    );
    const params = fc.dictionary(fc.constantFrom('a', 'b', 'ab', ':1:b', '1:b'), value, { maxKeys: 3 });
    fc.assert(
      fc.property(params, params, fc.constantFrom('a', '1:a', 'a,1:b=1'), (one, two, tenant) => {
        const first = page({ ...one, tenant });
        // What is made anew, because nothing was made before, is what is given again.
        const fresh = defineKeys({ scope: 'tenant', resources: { page: resource<string, object>() } });
        expect((fresh.page as typeof page)({ ...one, tenant }).wire).toBe(first.wire);
        expect((fresh.page as typeof page)({ ...two, tenant }).wire).toBe(page({ ...two, tenant }).wire);
        expect(page({ ...one, tenant: 'other' }).wire).not.toBe(first.wire);
      }),
    );
  });

  test('keeps a bounded number of keys ready, those that are asked for', () => {
    const hot = keys.devices({ tenant: 'hot' });
    const cold = keys.devices({ tenant: 'cold' });
    for (let tenant = 0; tenant < 10_000; tenant++) {
      keys.devices({ tenant: String(tenant) });
      if (tenant % 500 === 0) expect(keys.devices({ tenant: 'hot' })).toBe(hot);
    }
    const forgotten = keys.devices({ tenant: 'cold' });
    expect(forgotten).toEqual(cold);
    expect(forgotten).not.toBe(cold);

    const often = keys.recentCalls({ tenant: 'acme', limit: -1 });
    const once = keys.recentCalls({ tenant: 'acme', limit: -2 });
    for (let limit = 0; limit < 10_000; limit++) {
      keys.recentCalls({ tenant: `acme${limit % 7}`, limit });
      if (limit % 500 === 0) expect(keys.recentCalls({ tenant: 'acme', limit: -1 })).toBe(often);
    }
    expect(keys.recentCalls({ tenant: 'acme', limit: -2 })).toEqual(once);
    expect(keys.recentCalls({ tenant: 'acme', limit: -2 })).not.toBe(once);
  });

  test('takes parameters from plain objects alone: what a class keeps elsewhere would be missing from the key', () => {
    class Query {
      readonly tenant = 'acme';
      readonly #limit: number;
      constructor(limit: number) {
        this.#limit = limit;
      }
      get limit(): number {
        return this.#limit;
      }
    }
    const shared = defineKeys({
      scope: 'global',
      resources: { calls: resource<unknown, { limit: number }>() },
    });
    for (const params of [new Query(1), Object.create({ tenant: 'acme', limit: 1 })]) {
      expect(() => keys.recentCalls(params)).toThrow('plain');
      expect(() => shared.calls(params)).toThrow('plain');
    }
    const bare = Object.assign(Object.create(null), { tenant: 'acme', limit: 20 });
    expect(keys.recentCalls(bare).wire).toBe(keys.recentCalls({ tenant: 'acme', limit: 20 }).wire);
  });

  test('refuses tags that are no list of names', () => {
    for (const given of ['calls', undefined, [7], ['']]) {
      const space = defineKeys({
        scope: 'tenant',
        resources: { call: resource<unknown, { id: string }>({ tags: () => given as never }) },
      });
      expect(() => space.call({ tenant: 'acme', id: '1' })).toThrow(argument);
    }
  });

  test('makes global keys', () => {
    const shared = defineKeys({
      namespace: 'app',
      scope: 'global',
      resources: { rates: resource<number>(), page: resource<string, { path: string }>({ tags: ['pages'] }) },
    });
    expect(shared.rates().wire).toBe('app:c:global:rates');
    expect(shared.page({ path: '/' }).wire).toMatch(/^app:c:global:page:[A-Za-z0-9_-]{22}$/);
    expect(shared.page({ path: '/' }).tags).toEqual([shared.tag('pages').wire]);
    expect(shared.tag('*').wire).not.toBe(namespaceTag('app'));
  });

  test('RC-3 lets no tenant id, tag or parameter reach a key of another tenant', () => {
    const wild = fc.oneof(
      fc.string({ minLength: 1, maxLength: 40 }),
      fc.string({
        unit: fc.constantFrom('a', ':', '{', '}', '*', '#', '\n', '%', 'tenant'),
        minLength: 1,
        maxLength: 12,
      }),
    );
    fc.assert(
      fc.property(wild, wild, wild, (one, other, text) => {
        fc.pre(one !== other);
        const prefix = keys.devices({ tenant: one }).wire.slice(0, -'devices'.length);
        expect(prefix.match(/[{}]/g)).toEqual(['{', '}']);
        expect(prefix).toMatch(/^[!-~]+$/);
        for (const wire of [
          keys.devices({ tenant: other }).wire,
          keys.recentCalls({ tenant: other, text }).wire,
          keys.tag(other, text).wire,
          keys.call({ tenant: other, id: text }).tags[1],
        ]) {
          expect(wire?.startsWith(prefix)).toBe(false);
        }
        expect(keys.tag(one, text).wire).not.toBe(keys.recentCalls({ tenant: one, text }).wire);
        expect(keys.tag(one, text).wire).not.toBe(keys.all(one).wire);
        expect(keys.all(one).wire).not.toBe(keys.all(other).wire);
      }),
    );
  });

  test('refuses a tenant id that is none, a key over 1 KB and parameters that cannot be part of one', () => {
    const any = keys as unknown as Record<'devices' | 'recentCalls', (params?: unknown) => unknown>;
    for (const params of [
      undefined,
      null,
      'acme',
      {},
      { tenant: '' },
      { tenant: 7 },
      { tenant: 'x'.repeat(129) },
    ]) {
      expect(() => any.devices(params)).toThrow(argument);
    }
    expect(() => any.recentCalls({ tenant: 'a', limit: () => 1 })).toThrow(argument);
    expect(() => keys.devices({ tenant: '漢'.repeat(128) })).toThrow(argument);
    expect(() => keys.tag('a', 'x'.repeat(1_024))).toThrow(argument);
    expect(() => keys.tag('a', '')).toThrow(argument);
    const many = defineKeys({
      scope: 'tenant',
      resources: {
        a: resource<string, { count: number }>({
          tags: ({ count }) => Array.from({ length: count }, (_, index) => `tag${index}`),
        }),
      },
    });
    expect(many.a({ tenant: 'a', count: 100 }).tags).toHaveLength(101);
    expect(() => many.a({ tenant: 'a', count: 10_000 })).toThrow(argument);
  });

  test('refuses what no key space can be made of', () => {
    const define = defineKeys as unknown as (options: unknown) => unknown;
    const wrong = [
      { scope: 'user', resources: {} },
      { scope: 'tenant', resources: {}, nmespace: 'x' },
      { scope: 'tenant', resources: {}, namespace: 'a:b' },
      { scope: 'tenant', resources: { tag: resource() } },
      { scope: 'tenant', resources: { all: resource() } },
      { scope: 'tenant', resources: { overall: resource() } },
      { scope: 'tenant', resources: { a: {} } },
      { scope: 'tenant', resources: { a: { options: { ttl: '5 minutes' } } } },
      { scope: 'tenant', resources: { a: { options: { ttl: 0 } } } },
      { scope: 'tenant', resources: { a: { options: { ttl: -1 } } } },
      { scope: 'tenant', resources: { a: { options: { tll: 1 } } } },
      { scope: 'tenant', resources: { a: { options: { tags: 'calls' } } } },
      { scope: 'tenant', resources: { a: { options: { timeout: { hard: 0 } } } } },
      { scope: 'tenant', resources: { a: { options: { timeout: { hrad: 1 } } } } },
    ];
    for (const options of wrong) expect(() => define(options)).toThrow(configuration);
  });
});
