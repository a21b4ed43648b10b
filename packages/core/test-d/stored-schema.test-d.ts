import { type CacheKey, createCache, defineInvalidations, defineKeys, resource } from '@cachekit/core';
import { z } from 'zod';

const device = z.object({ id: z.string(), name: z.string().default('') });
const keys = defineKeys({
  scope: 'tenant',
  resources: {
    devices: resource({ ttl: '5m', schema: z.array(device) }),
    device: resource<z.output<typeof device>, { id: string }>({ schema: device, migrate: (old) => old }),
  },
});

const devices: CacheKey<{ id: string; name: string }[]> = keys.devices({ tenant: 'a' });
const one: CacheKey<{ id: string; name: string }> = keys.device({ tenant: 'a', id: '1' });

// @ts-expect-error the schema is of another type than the values
resource<string[]>({ schema: z.array(device) });
// @ts-expect-error what is no schema
resource({ schema: (value: unknown) => value });

const invalidations = defineInvalidations({
  renamed: ({ tenant, id }: { tenant: string; id: string }) => [keys.device({ tenant, id })],
  synced: ({ tenant }: { tenant: string }) => [keys.all(tenant), keys.tag(tenant, 'calls')],
});
const cache = createCache();
const clock: Promise<number> = invalidations.apply(cache, 'synced', { tenant: 'a' });

// @ts-expect-error an event that was not declared
invalidations.apply(cache, 'saved', { tenant: 'a' });
// @ts-expect-error a parameter is missing
invalidations.apply(cache, 'renamed', { tenant: 'a' });
// @ts-expect-error a rule gives keys and tags
defineInvalidations({ saved: () => ['settings'] });

export { clock, devices, one };
