import { defineKeys, resource } from '../src/index.ts';

/** The key space of these tests. */
export const keys = defineKeys({
  scope: 'tenant',
  resources: {
    devices: resource<unknown>({ ttl: '5m', tags: ['devices'] }),
    calls: resource<unknown, { limit: number }>({ ttl: '1m', tags: ['calls'] }),
    stats: resource<unknown>({ ttl: '1m', staleWhileRevalidate: '1m' }),
    kept: resource<unknown>({ ttl: '1m', staleIfError: '10m' }),
    slow: resource<unknown>({ ttl: '1m', staleIfError: '10m', timeout: { soft: '100ms', hard: '5s' } }),
  },
});

export const devices = keys.devices({ tenant: 'acme' });
export const stats = keys.stats({ tenant: 'acme' });
export const kept = keys.kept({ tenant: 'acme' });
export const slow = keys.slow({ tenant: 'acme' });

/** A loader whose loads end when the test says so, in the order they began. */
export function heldLoader(): {
  readonly load: () => Promise<unknown>;
  readonly began: PromiseWithResolvers<unknown>[];
} {
  const began: PromiseWithResolvers<unknown>[] = [];
  return {
    began,
    load: () => {
      const load = Promise.withResolvers<unknown>();
      began.push(load);
      return load.promise;
    },
  };
}

/** Lets promises that wait for nothing else settle. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
}
