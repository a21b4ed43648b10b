import { describe, expect, test, vi } from 'vitest';
import { createCache, defineInvalidations, defineKeys, isCacheKitError, resource } from '../src/index.ts';

const keys = defineKeys({
  scope: 'tenant',
  resources: {
    settings: resource<number>({ ttl: '5m' }),
    accounts: resource<number>({ ttl: '2m' }),
    txns: resource<number, { from: string }>({ ttl: '1m', tags: ['txns'] }),
    recon: resource<number, { from: string }>({ ttl: '30s', tags: ['recon'] }),
  },
});
type Tenant = { tenant: string };
const invalidations = defineInvalidations({
  settingsSaved: ({ tenant }: Tenant) => [keys.settings({ tenant })],
  synced: ({ tenant }: Tenant) => [keys.all(tenant)],
  webhookReceived: ({ tenant }: Tenant) => [keys.all(tenant)],
  reconciliationConfirmed: ({ tenant }: Tenant) => [keys.tag(tenant, 'recon')],
  clientLinked: ({ tenant }: Tenant) => [keys.tag(tenant, 'recon'), keys.accounts({ tenant })],
});

async function filled() {
  const cache = createCache();
  const load = vi.fn(async () => 1);
  const all = ['acme', 'other'].flatMap((tenant) => [
    keys.settings({ tenant }),
    keys.accounts({ tenant }),
    keys.txns({ tenant, from: 'a' }),
    keys.recon({ tenant, from: 'a' }),
    keys.recon({ tenant, from: 'b' }),
  ]);
  for (const key of all) await cache.getOrLoad(key, load);
  /** The keys that are no longer there. */
  const gone = async () => {
    const wires: string[] = [];
    for (const key of all) {
      const { state } = await cache.read(key, load);
      if (state === 'miss') wires.push(key.wire);
    }
    return wires;
  };
  return { cache, gone };
}

describe('defineInvalidations()', () => {
  const of = (tenant: string) => ({
    settings: keys.settings({ tenant }).wire,
    accounts: keys.accounts({ tenant }).wire,
    txns: keys.txns({ tenant, from: 'a' }).wire,
    recon: ['a', 'b'].map((from) => keys.recon({ tenant, from }).wire),
  });
  const { settings, accounts, txns, recon } = of('acme');

  test.each([
    ['settingsSaved', [settings]],
    ['synced', [settings, accounts, txns, ...recon]],
    ['webhookReceived', [settings, accounts, txns, ...recon]],
    ['reconciliationConfirmed', recon],
    ['clientLinked', [accounts, ...recon]],
  ] as const)('RC-8 %s drops exactly what was declared, of one tenant', async (name, expected) => {
    const { cache, gone } = await filled();
    const clock = await invalidations.apply(cache, name, { tenant: 'acme' });
    expect(clock).toBeGreaterThan(0);
    expect(await gone()).toEqual(expected);
  });

  test('RC-8 tells what an event makes invalid without doing it', async () => {
    const { cache, gone } = await filled();
    expect(invalidations.names).toContain('clientLinked');
    expect(invalidations.of('clientLinked', { tenant: 'acme' })).toEqual({
      keys: [keys.accounts({ tenant: 'acme' })],
      tags: [keys.tag('acme', 'recon')],
    });
    expect(await gone()).toEqual([]);
    await cache.close();
  });

  test('tries the tags although the keys failed, and says that they did', async () => {
    const failure = new Error('no Redis');
    const invalidateTags = vi.fn(async () => 7);
    const cache = { invalidate: () => Promise.reject(failure), invalidateTags };
    await expect(invalidations.apply(cache, 'clientLinked', { tenant: 'acme' })).rejects.toBe(failure);
    expect(invalidateTags).toHaveBeenCalledWith(keys.tag('acme', 'recon'));
  });

  test('refuses rules that are none and names that were not declared', async () => {
    const define = defineInvalidations as unknown as (rules: unknown) => unknown;
    expect(() => define({ saved: [] })).toThrow(
      expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
    );
    const any = invalidations as unknown as { of(name: string, params: unknown): unknown };
    for (const name of ['unknown', 'constructor']) {
      expect(() => any.of(name, {})).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT')),
      );
    }
  });
});
