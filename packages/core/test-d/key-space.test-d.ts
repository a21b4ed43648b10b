import { type CacheKey, defineKeys, resource } from '@cachekit/core';

interface Call {
  id: string;
  status: string;
}
interface ById {
  id: string;
}

const keys = defineKeys({
  scope: 'tenant',
  resources: {
    devices: resource<string[]>({ ttl: '5m', tags: ['devices'] }),
    recentCalls: resource<Call[], { limit: number; from?: Date }>({ ttl: '1m' }),
    call: resource<Call | null, ById>({ tags: ({ id }) => [`call:${id}`] }),
  },
});

const devices: CacheKey<string[]> = keys.devices({ tenant: 'a' });
const recent: CacheKey<Call[]> = keys.recentCalls({ tenant: 'a', limit: 1 });
const call: CacheKey<Call | null> = keys.call({ tenant: 'a', id: '1' });
keys.tag('a', 'calls');

// @ts-expect-error the tenant is required
keys.devices({});
// @ts-expect-error and an argument is
keys.devices();
// @ts-expect-error the tenant is text
keys.devices({ tenant: 1 });
// @ts-expect-error no parameter was declared
keys.devices({ tenant: 'a', limit: 1 });
// @ts-expect-error a declared parameter is required
keys.recentCalls({ tenant: 'a' });
// @ts-expect-error and has its type
keys.recentCalls({ tenant: 'a', limit: '1' });
// @ts-expect-error no such resource
keys.unknown({ tenant: 'a' });
// @ts-expect-error a tag of a tenant names the tenant
keys.tag('calls');
// @ts-expect-error a key of calls is no key of devices
const wrong: CacheKey<string[]> = recent;
// @ts-expect-error a duration has a known unit
resource<string>({ ttl: '5 minutes' });
// @ts-expect-error options are known
resource<string>({ tttl: '5m' });

const shared = defineKeys({
  scope: 'global',
  resources: { rates: resource<number>(), page: resource<string, { path: string }>() },
});
const rates: CacheKey<number> = shared.rates();
const page: CacheKey<string> = shared.page({ path: '/' });
shared.tag('pages');
// @ts-expect-error a global key has no tenant
shared.page({ tenant: 'a', path: '/' });
// @ts-expect-error a declared parameter is required
shared.page();

export { call, devices, page, rates, wrong };
